package eventloop_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/eventloop"
	"example.com/sse-demo/sse/ssetest"
)

func TestServe(t *testing.T) {
	ssetest.TestServe(t, func() (sse.ServeFunc, func()) {
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
	err := s.loop.Serve(w, r, s.source(), s.options, func(o sse.Outcome) {
		s.outcomes <- o
		s.open.Done()
	})
	if err != nil {
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
	conn, err := new(net.Dialer).DialContext(s.Context(), "tcp", s.listener.Addr().String())
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

// TestPanic: a source that panics ends its own stream only, cleanly.
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := ssetest.NewNetwork()
		s := newService(t, network)
		good, bad := new(ssetest.Source), new(ssetest.Source)
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
		bad.Panic = "at the disco"
		bad.Add(1)
		if _, err := readers[1].Next(); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		o := <-s.outcomes
		var panicked *sse.PanicError
		if o.Reason != sse.SourceFailed || !errors.As(o.Err, &panicked) || panicked.Value != "at the disco" ||
			!bytes.Contains(panicked.Stack, []byte("ssetest.(*Source).Next")) {
			t.Errorf("%+v", o)
		}
		good.Add(1)
		if e, err := readers[0].Next(); err != nil || e.Data != "1" {
			t.Error(e, err)
		}
	})
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

// TestOpenedWhileShuttingDown: a stream that gets its head gets its end, also if
// it is opened at the very moment of the shutdown.
func TestOpenedWhileShuttingDown(t *testing.T) {
	const clients = 8
	for range 20 {
		s := newService(t, listenTCP(t))
		shutdown := make(chan struct{})
		s.options.Shutdown = shutdown
		s.server.RegisterOnShutdown(func() { close(shutdown) })
		s.begin()
		client := &http.Client{Transport: &http.Transport{}}
		started := make(chan struct{}, clients*100)
		var opening, reading sync.WaitGroup
		for range clients {
			opening.Go(func() {
				for {
					response, err := client.Get("http://" + s.listener.Addr().String()) //nolint:noctx // it ends with the service
					if err != nil {
						return // the listener is closed
					}
					started <- struct{}{}
					reading.Go(func() {
						if _, err := io.Copy(io.Discard, response.Body); err != nil {
							t.Errorf("a stream has a head and no end: %v", err)
						}
						_ = response.Body.Close()
					})
					if isClosed(shutdown) {
						return
					}
				}
			})
		}
		for range clients {
			<-started
		}
		if err := s.server.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		s.open.Wait()
		s.loop.Close()
		opening.Wait()
		reading.Wait()
		client.CloseIdleConnections()
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

// TestSlowClientOverTCP reads slowly but steadily: within one write timeout the
// kernel takes nothing, because a third of its buffer has to be free for that,
// but the client takes some.
func TestSlowClientOverTCP(t *testing.T) {
	s := newService(t, listenTCP(t))
	s.options.WriteTimeout = 500 * time.Millisecond
	s.source = func() sse.Source { return &flood{} }
	s.begin()
	conn := s.dial("")
	in := s.readHead(conn)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	p := make([]byte, 4<<10)
	for range 125 { // five timeouts
		<-tick.C
		if _, err := io.ReadFull(in, p); err != nil {
			t.Fatal(err, <-s.outcomes)
		}
	}
	if n := len(s.outcomes); n > 0 {
		t.Fatalf("cut off: %+v", <-s.outcomes)
	}
	if o := <-s.outcomes; o.Reason != sse.ClientStalled { // it has stopped reading
		t.Errorf("%+v", o)
	}
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
			if o := <-s.outcomes; o.Reason != sse.ClientGone {
				t.Errorf("%+v", o)
			}
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
		if o := <-s.outcomes; o.Reason != sse.ClientGone {
			t.Errorf("%+v", o)
		}
	})
	t.Run("in memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			network := ssetest.NewNetwork()
			s := newService(t, network).begin()
			conn, err := network.Dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			s.readHead(conn)
			_, _ = io.WriteString(conn, "x")
			_ = conn.Close()
			<-s.outcomes
		})
	})
}
