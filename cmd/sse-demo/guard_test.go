//go:build !race

package main

// What an event and a stream may cost, as counts that are the same in each run: no
// times. The folders to copy have the same for their parts: TestAppendDoesNotAllocate
// and TestServeAllocatesNothing in sse, TestStepAllocatesNothing in sse/eventloop.

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/eventloop"
)

// TestAllocations: a publication allocates its frame, its id and what wakes the
// subscribers, and a delivery nothing: the count is the same for 1 client and for 21.
func TestAllocations(t *testing.T) {
	const perPublication = 3
	onBothLoops(t, func(g *guard) {
		for range 2 {
			g.open()
			if n := testing.AllocsPerRun(200, func() { g.publish(1); g.read(1) }); n > perPublication {
				g.Errorf("%v allocations for an event to %d clients, want %d", n, len(g.clients), perPublication)
			}
			for range 19 {
				g.open()
			}
		}
	})
}

// TestSystemCalls: an event is one write, and so are all that are published while the
// client has yet to take the one before.
func TestSystemCalls(t *testing.T) {
	onBothLoops(t, func(g *guard) {
		g.open()
		for n := range 100 {
			g.publish(1)
			g.read(1)
			if writes := g.writes(); writes != 1 && n > 20 { // before, the stream may still be opened
				g.Fatalf("%d writes for an event", writes)
			}
		}
		const burst = 50
		g.hold.Lock()
		g.publish(1)
		<-g.began
		g.publish(burst)
		g.hold.Unlock()
		g.read(1 + burst)
		if n := g.writes(); n != 1 {
			g.Errorf("%d writes for a burst of %d events", n, burst)
		}
	})
}

// TestIdleStream: the event loop needs no goroutine for a stream, sse.Serve two: the
// handler, and the one of net/http that waits for the client to leave. The bytes are
// the heap and the stacks, with the client's end of the connection, after collection.
func TestIdleStream(t *testing.T) {
	onBothLoops(t, func(g *guard) {
		goroutines, most := 2, 28<<10
		if g.isEventLoop {
			goroutines, most = 0, 2<<10
		}
		const streams = 300
		g.open() // and with it what all streams share
		goroutinesBefore, bytesBefore := runtime.NumGoroutine(), bytesInUse()
		for range streams {
			g.open()
		}
		fallsTo(t, "goroutines", goroutinesBefore+streams*goroutines, runtime.NumGoroutine)
		fallsTo(t, "bytes for a stream", most, func() int { return (bytesInUse() - bytesBefore) / streams })
	})
}

// fallsTo expects a number that may be higher until handlers have returned and the
// collector has run.
func fallsTo(t *testing.T, what string, want int, count func() int) {
	t.Helper()
	for end := time.Now().Add(patience); ; <-time.After(10 * time.Millisecond) {
		n := count()
		if n <= want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d %s, want %d", n, what, want)
		}
	}
}

// bytesInUse returns what the heap and the stacks take, without garbage.
func bytesInUse() int {
	for range 3 { // the first empties pools, and each shrinks stacks by half
		runtime.GC()
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc + stats.StackInuse)
}

// A guard is a service of one channel. Its listener counts the writes of its
// connections.
type guard struct {
	*testing.T
	net.Listener
	broker      *pubsub.Memory
	isEventLoop bool
	clients     []net.Conn
	buffer      []byte

	began chan struct{} // has a value for each write
	hold  sync.RWMutex  // while it is locked, writes wait
}

func onBothLoops(t *testing.T, test func(*guard)) {
	loop := eventloop.New()
	t.Cleanup(loop.Close)
	for name, serve := range map[string]func(http.ResponseWriter, *http.Request, sse.Source, sse.Options) error{
		"sse.Serve": sse.Serve, "event loop": loop.Serve,
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			g := &guard{
				T: t, Listener: listener, broker: pubsub.NewMemory(1024, 64<<20), isEventLoop: name == "event loop",
				buffer: make([]byte, 64<<10), began: make(chan struct{}, 100_000),
			}
			options := sse.Options{Retry: time.Second, Heartbeat: time.Hour, WriteTimeout: time.Hour, Sent: func(int, int, int64) {}}
			server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if err := serve(w, r, g.broker.Subscribe([]string{"a"}, pubsub.Start{}), options); err != nil {
					t.Error(err)
				}
			})}
			var serving sync.WaitGroup
			serving.Go(func() { _ = server.Serve(g) })
			defer func() {
				for _, client := range g.clients {
					_ = client.Close()
				}
				_ = server.Close()
				serving.Wait()
			}()
			test(g)
		})
	}
}

// open opens a stream that has begun.
func (g *guard) open() {
	g.Helper()
	client, err := new(net.Dialer).DialContext(g.Context(), "tcp", g.Addr().String())
	if err != nil {
		g.Fatal(err)
	}
	g.clients = append(g.clients, client)
	if _, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		g.Fatal(err)
	}
	g.readUntil(client, "retry: ", 1)
}

var payload = []byte("x")

func (g *guard) publish(events int) {
	g.Helper()
	for range events {
		if _, err := g.broker.Publish(g.Context(), "a", "", payload); err != nil {
			g.Fatal(err)
		}
	}
}

// read has all clients read so many events.
func (g *guard) read(events int) {
	g.Helper()
	for _, client := range g.clients {
		g.readUntil(client, "data: x\n\n", events)
	}
}

// readUntil reads until text has come n times.
func (g *guard) readUntil(client net.Conn, text string, n int) {
	g.Helper()
	_ = client.SetReadDeadline(time.Now().Add(patience))
	for got := 0; bytes.Count(g.buffer[:got], []byte(text)) < n; {
		read, err := client.Read(g.buffer[got:])
		if err != nil {
			g.Fatal(err)
		}
		got += read
	}
}

// writes counts those since the last call.
func (g *guard) writes() (n int) {
	for ; len(g.began) > 0; n++ {
		<-g.began
	}
	return n
}

func (g *guard) note() {
	g.began <- struct{}{}
	g.hold.RLock()
	defer g.hold.RUnlock()
}

// Accept implements [net.Listener].
func (g *guard) Accept() (net.Conn, error) {
	conn, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &guarded{conn.(*net.TCPConn), g}, nil
}

// guarded is a connection that notes each write: sse.Serve calls Write, and the event
// loop Control.
type guarded struct {
	*net.TCPConn
	guard *guard
}

func (c *guarded) Write(p []byte) (int, error) {
	c.guard.note()
	return c.TCPConn.Write(p)
}

func (c *guarded) SyscallConn() (syscall.RawConn, error) {
	raw, err := c.TCPConn.SyscallConn()
	return guardedRaw{raw, c.guard}, err
}

type guardedRaw struct {
	syscall.RawConn
	guard *guard
}

func (c guardedRaw) Control(do func(fd uintptr)) error {
	c.guard.note()
	return c.RawConn.Control(do)
}

// TestStackOfAStream: what net/http and sse.Serve need for a stream fits into a stack
// of 8 kB. With one frame more, even of a hook that is called before, each stream
// would have one of 16 kB. The race detector needs more.
func TestStackOfAStream(t *testing.T) {
	t.Parallel()
	const (
		handler = 8 << 10
		job     = 8 << 10 // its work, which encodes and publishes reports; at most 256 at once
	)
	cert, key := certificate(t)
	https := []string{"--tls-cert", cert, "--tls-key", key}
	for name, tt := range map[string]struct {
		flags          []string
		isHTTP2        bool
		method, target string
		most           int // bytes of all stacks, for a stream
	}{
		"event loop":    {nil, false, http.MethodGet, "/stream/channel?name=a&replay=1", 0},
		"HTTP/2":        {nil, true, http.MethodGet, "/stream/channel?name=a&replay=1", handler},
		"TLS, tick":     {https, false, http.MethodGet, "/stream/tick", 0},
		"TLS, log":      {https, false, http.MethodGet, "/stream/log", 0},
		"TLS, progress": {https, false, http.MethodGet, "/stream/progress?id=a", 0},
		"TLS, channel":  {https, false, http.MethodGet, "/stream/channel?name=a&replay=1", 0},
		"TLS, jobs":     {https, false, http.MethodPost, "/jobs", job},
	} {
		t.Run(name, func(t *testing.T) {
			// The collector shrinks stacks that were larger for a moment.
			p := start(t, []string{"GOGC=5"}, append(tt.flags, "--addr", "127.0.0.1:0")...)
			url := p.url("")
			if tt.flags != nil {
				url = "https://" + p.addr
			}
			client := clientOf(t, tt.isHTTP2, trusting(t, cert))
			if status, _ := send(t, client, http.MethodPost, url+"/publish", `{"channel":"a","payload":1}`); status != http.StatusOK {
				t.Fatal(status)
			}
			stacks := func() int {
				_, body := send(t, client, http.MethodGet, url+"/metrics", "")
				text, err := io.ReadAll(body)
				if err != nil {
					t.Fatal(err)
				}
				return int(valueIn(t, string(text), "go_memstats_stack_inuse_bytes"))
			}
			before := stacks()
			const streams = 200
			for range streams {
				_, body := send(t, client, tt.method, url+tt.target, `{"durationMs":600000}`)
				if e, err := sse.NewReader(body).Next(); err != nil || e.Name == "busy" {
					t.Fatal(e, err)
				}
			}
			const slack = 2 << 10 // of pages that are not full, and of the service itself
			fallsTo(t, "bytes of stacks for a stream", tt.most+slack, func() int { return (stacks() - before) / streams })
		})
	}
}

func clientOf(t *testing.T, isHTTP2 bool, config *tls.Config) *http.Client {
	transport := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: config}
	transport.Protocols.SetHTTP1(!isHTTP2)
	transport.Protocols.SetUnencryptedHTTP2(isHTTP2)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// send sends JSON, for whatever answer.
func send(t *testing.T, client *http.Client, method, url, body string) (int, io.Reader) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", sse.MediaType)
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response.StatusCode, response.Body
}
