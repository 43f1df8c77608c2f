package eventloop_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/eventloop"
	"example.com/sse-demo/sse/ssetest"
)

// A secure is a client of a service with HTTPS.
type secure struct {
	*service
	conn     *tls.Conn
	response *http.Response
	returned chan struct{} // closed when the handler has returned
}

// overTLS serves a source and returns its client.
func overTLS(t *testing.T, listener net.Listener, dial func(ctx context.Context, network, addr string) (net.Conn, error), timeout time.Duration, source sse.Source) *secure {
	t.Helper()
	s := &secure{service: newService(t, nil), returned: make(chan struct{})}
	s.source, s.options.WriteTimeout = func() sse.Source { return source }, timeout
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(w, r)
		close(s.returned)
	}))
	_ = server.Listener.Close()
	server.Listener = listener
	server.StartTLS()
	t.Cleanup(server.Close)
	t.Cleanup(s.loop.Close)
	conn, err := dial(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	s.conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	if _, err := io.WriteString(s.conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if s.response, err = http.ReadResponse(bufio.NewReader(s.conn), nil); err != nil {
		t.Fatal(err)
	}
	return s
}

// large is a source of this many large events.
type large int

func (l *large) Next(frames [][]byte) ([][]byte, error) {
	if *l == 0 {
		return frames, io.EOF
	}
	*l--
	return append(frames, floodFrame), nil
}
func (*large) Notify(wake func()) { wake() }
func (*large) Position() string   { return "" }

// TestTLS: a client gets every byte, also of more than its socket takes, the end of the
// response, and the end of TLS, also if its socket is full at the end.
func TestTLS(t *testing.T) {
	t.Parallel()
	for name, inMemory := range map[string]bool{"TCP": false, "a socket that is always full": true} {
		for _, timeout := range []time.Duration{0, time.Second} {
			t.Run(fmt.Sprintf("%s/%v", name, timeout), func(t *testing.T) {
				const events = 300 // 5 MB, more than the kernels hold
				source := large(events)
				network := ssetest.NewNetwork()
				listener, dial := net.Listener(network), network.Dial
				if !inMemory {
					listener, dial = listenTCP(t), new(net.Dialer).DialContext
				}
				s := overTLS(t, eventloop.ListenTLS(listener), dial, timeout, &source)
				body, err := io.ReadAll(s.response.Body)
				if err != nil || !bytes.Equal(body, bytes.Repeat(floodFrame, events)) {
					t.Errorf("%d bytes, %v", len(body), err)
				}
				if n, err := s.conn.Read(make([]byte, 1)); n != 0 || err != io.EOF { //nolint:errorlint // without the end of TLS it is another
					t.Errorf("after the response: %d bytes, %v", n, err)
				}
				s.ends(sse.SourceDone)
			})
		}
	}
}

// TestTLSIdle: the handler has returned, events arrive, and a client that leaves is
// noticed.
func TestTLSIdle(t *testing.T) {
	t.Parallel()
	source := new(ssetest.Source).Add(1)
	s := overTLS(t, eventloop.ListenTLS(listenTCP(t)), new(net.Dialer).DialContext, time.Second, source)
	<-s.returned
	events := ssetest.NewReader(s.response.Body)
	for n := range 3 {
		if e, err := events.Next(); err != nil || e.Data != strconv.Itoa(n+1) {
			t.Fatal(e, err)
		}
		source.Add(1)
	}
	_ = s.conn.Close()
	s.ends(sse.ClientGone)
}

// TestTLSEnd: a client that ends TLS has left, even if it keeps the connection open; one
// that sends something else has not.
func TestTLSEnd(t *testing.T) {
	t.Parallel()
	source := new(ssetest.Source).Add(1)
	s := overTLS(t, eventloop.ListenTLS(listenTCP(t)), new(net.Dialer).DialContext, time.Second, source)
	events := ssetest.NewReader(s.response.Body)
	for n := range 3 {
		if e, err := events.Next(); err != nil || e.Data != strconv.Itoa(n+1) {
			t.Fatal(e, err)
		}
		if _, err := io.WriteString(s.conn, "x"); err != nil {
			t.Fatal(err)
		}
		source.Add(1)
	}
	if err := s.conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	s.ends(sse.ClientGone)
}

// TestTLSOfAnotherListener: a connection that ListenTLS has not accepted is served in its
// handler.
func TestTLSOfAnotherListener(t *testing.T) {
	t.Parallel()
	source := new(ssetest.Source).Add(1)
	s := overTLS(t, listenTCP(t), new(net.Dialer).DialContext, time.Second, source)
	if e, err := ssetest.NewReader(s.response.Body).Next(); err != nil || e.Data != "1" {
		t.Fatal(e, err)
	}
	select {
	case <-s.returned:
		t.Error("the handler has returned")
	default:
	}
	source.End()
	<-s.returned
	s.ends(sse.SourceDone)
}
