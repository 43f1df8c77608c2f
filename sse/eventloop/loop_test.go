package eventloop_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/eventloop"
	"example.com/sse-demo/sse/ssetest"
)

func TestServe(t *testing.T) {
	ssetest.TestServe(t, func() (serve func(http.ResponseWriter, *http.Request, sse.Source, sse.Options) error, end func()) {
		loop := eventloop.New()
		return loop.Serve, loop.Close
	})
}

// service serves sources over TCP, or in memory.
type service struct {
	*testing.T
	loop     *eventloop.Loop
	server   *http.Server
	listener net.Listener
	source   func() sse.Source
	options  sse.Options
	outcomes chan sse.Outcome
	dialer   net.Dialer
	open     sync.WaitGroup // streams
	serving  sync.WaitGroup
}

func newService(t *testing.T, listener net.Listener) *service {
	s := &service{T: t, loop: eventloop.New(), listener: listener, outcomes: make(chan sse.Outcome, 10_000)}
	s.source = func() sse.Source { return new(ssetest.Source) }
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	t.Cleanup(func() {
		_ = s.server.Close()
		s.loop.Close()
		s.serving.Wait()
	})
	return s
}

func (s *service) begin() *service {
	s.serving.Go(func() { _ = s.server.Serve(s.listener) })
	return s
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.open.Add(1)
	options := s.options
	options.Ended = func(o sse.Outcome) {
		s.outcomes <- o
		s.open.Done()
	}
	if err := s.loop.Serve(w, r, s.source(), options); err != nil {
		s.Error(err)
	}
}

func listenTCP(t *testing.T) net.Listener {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// dial sends a request over TCP, and text right behind it.
func (s *service) dial(text string) net.Conn {
	s.Helper()
	conn, err := s.dialer.DialContext(s.Context(), "tcp", s.listener.Addr().String())
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"+text); err != nil {
		s.Fatal(err)
	}
	return conn
}

// readHead reads the head of the response.
func (s *service) readHead(conn net.Conn) *bufio.Reader {
	s.Helper()
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			s.Fatal(err)
		}
		if line == "\r\n" {
			return in
		}
	}
}

// patience is how long a test waits for what should come at once.
const patience = 20 * time.Second

// ends waits for the end of a stream and expects it to have this reason.
func (s *service) ends(reason sse.Reason) {
	s.Helper()
	select {
	case o := <-s.outcomes:
		if o.Reason != reason {
			s.Errorf("%+v, want %s", o, reason)
		}
	case <-time.After(patience):
		s.Errorf("the stream does not end, want %s", reason)
	}
}

// broken is a source that panics in one of its methods.
type broken struct {
	ssetest.Source
	in string
}

func (b *broken) at(method string) {
	if b.in == method {
		panic("in " + method)
	}
}

func (b *broken) Position() string {
	b.at("Position")
	return b.Source.Position()
}

func (b *broken) Notify(wake func()) {
	b.at("Notify")
	b.Source.Notify(wake)
}

func (b *broken) Close() error {
	b.at("Close")
	return nil
}

func (b *broken) Next(frames [][]byte) ([][]byte, error) {
	if b.Calls.Load() > 0 {
		b.at("second Next")
	}
	b.at("Next")
	return b.Source.Next(frames)
}

// TestPanic: a source that panics ends its own stream only, cleanly.
func TestPanic(t *testing.T) {
	for _, in := range []string{"Position", "Notify", "Next", "second Next"} {
		t.Run(in, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testPanic(t, in) })
		})
	}
}

func testPanic(t *testing.T, in string) {
	network := ssetest.NewNetwork()
	s := newService(t, network)
	good, bad := new(ssetest.Source), &broken{in: in}
	sources := []sse.Source{good, bad}
	s.source = func() (next sse.Source) {
		next, sources = sources[0], sources[1:]
		return next
	}
	s.begin()
	client := network.Client(false)
	defer client.CloseIdleConnections()
	var readers []*ssetest.Reader
	for range 2 {
		response, err := client.Get("http://sse.test/") //nolint:noctx // the bubble ends with it
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		readers = append(readers, ssetest.NewReader(response.Body))
	}
	bad.Add(1)
	for {
		if _, err := readers[1].Next(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	o := <-s.outcomes
	var panicked *sse.PanicError
	if o.Reason != sse.SourceFailed || !errors.As(o.Err, &panicked) || panicked.Value != "in "+in ||
		!bytes.Contains(panicked.Stack, []byte("eventloop_test.(*broken)")) {
		t.Errorf("%+v", o)
	}
	good.Add(1)
	if e, err := readers[0].Next(); err != nil || e.Data != "1" {
		t.Error(e, err)
	}
}

// TestPanicAtTheEnd: a panic in Close or Ended ends nothing else, as one in a handler of
// net/http.
func TestPanicAtTheEnd(t *testing.T) {
	var logged bytes.Buffer
	log.SetOutput(&logged)
	defer log.SetOutput(os.Stderr)
	synctest.Test(t, func(t *testing.T) {
		network := ssetest.NewNetwork()
		s := newService(t, network)
		s.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			source := &broken{in: "Close"}
			source.End()
			_ = s.loop.Serve(w, r, source, sse.Options{Ended: func(sse.Outcome) { panic("in Ended") }})
		})
		s.begin()
		client := network.Client(false)
		defer client.CloseIdleConnections()
		for range 2 {
			response, err := client.Get("http://sse.test/") //nolint:noctx // the bubble ends with it
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(response.Body); err != nil {
				t.Error(err)
			}
			_ = response.Body.Close()
		}
		s.loop.Close()
	})
	if strings.Count(logged.String(), "in Ended") != 2 {
		t.Error(logged.String())
	}
}

// TestClose cuts what is open, in whatever state it is, and waits for all of it.
func TestClose(t *testing.T) {
	s := newService(t, listenTCP(t)).begin()
	idle := s.readHead(s.dial(""))
	s.source = func() sse.Source { return &flood{} }
	full := s.readHead(s.dial("")) // does not read on
	s.loop.Close()
	for range 2 {
		if o := <-s.outcomes; o.Reason != sse.ClientGone {
			t.Errorf("%+v", o)
		}
	}
	for _, in := range []*bufio.Reader{idle, full} {
		if rest, err := io.ReadAll(in); err == nil && bytes.HasSuffix(rest, []byte("\r\n0\r\n\r\n")) {
			t.Error("a stream that was cut has a final chunk")
		}
	}
	response, err := http.Get("http://" + s.listener.Addr().String()) //nolint:noctx // it is closed right away
	if err != nil {
		t.Fatal(err) // later streams are served in their handlers
	}
	_ = response.Body.Close()
}

// moments is a source that calls at with each moment of the opening of its stream.
type moments struct {
	ssetest.Source
	at func(moment string)
}

func (m *moments) Position() string {
	m.at("hijacked")
	return m.Source.Position()
}

func (m *moments) Next(frames [][]byte) ([][]byte, error) {
	defer m.at("after the source was asked")
	return m.Source.Next(frames)
}

func (m *moments) Notify(wake func()) {
	m.Source.Notify(wake)
	m.at("before it joins its worker")
}

// atMoment has do called, once, at that moment of the opening of stream number n, counted
// from 0. Streams are to be opened one by one.
func (s *service) atMoment(n int, moment string, do func()) {
	do = sync.OnceFunc(do)
	at := func(now string) {
		if now == moment {
			do()
		}
	}
	var opened atomic.Int64
	s.source = func() sse.Source {
		if opened.Add(1) <= int64(n) {
			return new(ssetest.Source)
		}
		return &moments{at: at}
	}
	s.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(w, r)
		if opened.Load() > int64(n) {
			at("joined")
		}
	})
}

// TestOpenedWhileShuttingDown: a stream that gets its head gets its end, whenever
// the shutdown comes while it is being opened.
func TestOpenedWhileShuttingDown(t *testing.T) {
	for _, moment := range []string{"hijacked", "after the source was asked", "before it joins its worker", "joined"} {
		t.Run(moment, func(t *testing.T) {
			s := newService(t, listenTCP(t))
			shutdown := make(chan struct{})
			s.options.Shutdown = shutdown
			others := runtime.GOMAXPROCS(0) // one for each worker at least
			s.atMoment(others, moment, func() {
				close(shutdown)
				for range others { // until all workers have seen it
					s.ends(sse.ShutdownReached)
				}
			})
			s.begin()
			for range others {
				s.readHead(s.dial(""))
			}
			conn := s.dial("")
			_ = conn.SetReadDeadline(time.Now().Add(2 * patience))
			if rest, err := io.ReadAll(s.readHead(conn)); err != nil || string(rest) != "0\r\n\r\n" {
				t.Errorf("a stream has a head and no end: %q, %v", rest, err)
			}
			s.ends(sse.ShutdownReached)
		})
	}
}

// TestOpenedWhileClosing: Close waits for a stream that is being opened.
func TestOpenedWhileClosing(t *testing.T) {
	for _, moment := range []string{"hijacked", "after the source was asked", "before it joins its worker"} {
		t.Run(moment, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := ssetest.NewNetwork()
				s := newService(t, network)
				closed := make(chan struct{})
				s.atMoment(0, moment, func() {
					go func() { s.loop.Close(); close(closed) }()
					synctest.Wait()
					if isClosed(closed) {
						t.Error("Close does not wait for the stream")
					}
				})
				s.begin()
				client := network.Client(false)
				defer client.CloseIdleConnections()
				if response, err := client.Get("http://sse.test/"); err == nil { //nolint:noctx // it ends with the loop
					_ = response.Body.Close()
				}
				s.ends(sse.ClientGone)
				<-closed
			})
		})
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// flood is a source that never ends.
type flood struct{}

var floodFrame = sse.MustFrame(sse.Event{Data: []byte(strings.Repeat("x", 16<<10))})

func (*flood) Next(frames [][]byte) ([][]byte, error) { return append(frames, floodFrame), nil }
func (*flood) Notify(wake func())                     { wake() }
func (*flood) Position() string                       { return "" }

// openInMemory opens a stream over a connection that is not one of the system's.
func openInMemory(t *testing.T) (*service, net.Conn) {
	network := ssetest.NewNetwork()
	s := newService(t, network).begin()
	conn, err := network.Dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	s.readHead(conn)
	return s, conn
}

// TestInput: what a client sends after its request hides nothing. That it leaves
// is noticed at once, and one that does not stop is cut off.
func TestInput(t *testing.T) {
	for name, text := range map[string]string{"a byte": "x", "another request": "GET / HTTP/1.1\r\nHost: x\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, listenTCP(t)).begin()
			conn := s.dial(text)
			s.readHead(conn)
			_, _ = io.WriteString(conn, text)
			_ = conn.Close()
			s.ends(sse.ClientGone)
		})
	}
	t.Run("too much", func(t *testing.T) {
		s := newService(t, listenTCP(t)).begin()
		conn := s.dial("")
		s.readHead(conn)
		_, _ = conn.Write(make([]byte, 64<<10))
		if n := len(s.outcomes); n > 0 {
			t.Errorf("%+v", <-s.outcomes)
		}
		_, _ = conn.Write(make([]byte, 1))
		s.ends(sse.ClientGone)
	})
	t.Run("in memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, conn := openInMemory(t)
			_, _ = io.WriteString(conn, "x")
			_ = conn.Close()
			s.ends(sse.ClientGone)
		})
	})
	t.Run("too much in memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, conn := openInMemory(t)
			_, _ = conn.Write(make([]byte, 64<<10))
			synctest.Wait()
			if n := len(s.outcomes); n > 0 {
				t.Errorf("%+v", <-s.outcomes)
			}
			_, _ = conn.Write(make([]byte, 1))
			s.ends(sse.ClientGone)
		})
	})
}

// TestStalledInTheMiddle: the time of a client that has taken some begins when it has
// stopped, not when it is noticed that it took some.
func TestStalledInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := ssetest.NewNetwork()
		s := newService(t, network)
		s.options.WriteTimeout = 8 * time.Second
		s.source = func() sse.Source { return new(ssetest.Source).Add(1) }
		s.begin()
		conn, err := network.Dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		<-time.After(time.Second)
		if _, err := io.ReadFull(conn, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		stopped := time.Now()
		s.ends(sse.ClientStalled)
		if took := time.Since(stopped); took < s.options.WriteTimeout || took > s.options.WriteTimeout*9/8 {
			t.Errorf("cut off %v after its last read", took)
		}
		_ = conn.Close()
	})
}

// TestLargeFrames: what clients have yet to take of a frame is shared, not copied for
// each of them.
func TestLargeFrames(t *testing.T) {
	const streams = 20
	frame := sse.MustFrame(sse.Event{Data: bytes.Repeat([]byte("\n"), 500_000)})
	s := newService(t, smallListener{listenTCP(t)})
	s.source = func() sse.Source { return &oneFrame{frame: frame} }
	s.begin()
	before := heapInUse()
	for range streams {
		if _, err := io.CopyN(io.Discard, s.readHead(s.dial("")), 512<<10); err != nil {
			t.Fatal(err)
		}
	}
	if each := (int(heapInUse()) - int(before)) / streams; each > len(frame)/20 {
		t.Errorf("%d bytes for a client, of a frame of %d", each, len(frame))
	}
}

// oneFrame is a source that has one frame.
type oneFrame struct {
	ssetest.Source
	frame []byte
}

func (o *oneFrame) Next(frames [][]byte) ([][]byte, error) {
	if o.frame != nil {
		frames, o.frame = append(frames, o.frame), nil
	}
	return frames, nil
}

// A smallListener lets the kernel take little of what a client has yet to read.
type smallListener struct{ net.Listener }

func (l smallListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		_ = conn.(*net.TCPConn).SetWriteBuffer(48 << 10)
	}
	return conn, err
}

// heapInUse is how many bytes are reachable.
func heapInUse() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
