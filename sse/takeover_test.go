package sse_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/ssetest"
)

// takenOver opens a stream over TCP and returns both ends of it.
func takenOver(t testing.TB, o sse.Options) (*sse.Stream, net.Conn) {
	t.Helper()
	taken := make(chan *sse.Stream, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Own", "a\r\nb") // net/http makes one line of it, and so must we
		stream, err := sse.TakeOver(w, r, o)
		if err != nil {
			t.Error(err)
		}
		taken <- stream
	}))
	t.Cleanup(server.Close)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	stream := <-taken
	t.Cleanup(func() { stream.Close(); _ = conn.Close() })
	return stream, conn
}

// TestTakeOver: a client cannot tell it from a handler's response.
func TestTakeOver(t *testing.T) {
	stream, conn := takenOver(t, sse.Options{Retry: time.Second, Heartbeat: time.Nanosecond})
	frame, _ := sse.Event{ID: "1", Data: []byte("one")}.Append(nil)
	var buffer sse.Buffer
	if err := stream.Try(&buffer, frame, frame); err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(frame); err != nil {
		t.Fatal(err)
	}
	if err := stream.TryHeartbeat(&buffer); err != nil {
		t.Fatal(err)
	}
	stream.End()
	if err := stream.Try(&buffer); err != nil {
		t.Fatal(err)
	}
	stream.Close()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	for name, want := range map[string]string{"Content-Type": "text/event-stream", "X-Accel-Buffering": "no", "Cache-Control": "no-cache, no-transform", "X-Own": "a  b"} {
		if got := response.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if _, err := http.ParseTime(response.Header.Get("Date")); err != nil || response.StatusCode != http.StatusOK || !response.Close {
		t.Error(response.Status, response.Header, err)
	}
	body, err := io.ReadAll(response.Body)
	_, events, _ := strings.Cut(string(body), "\n\n")
	if want := strings.Repeat("id: 1\ndata: one\n\n", 3) + ": heartbeat\n\n"; err != nil || events != want || int(stream.Written()) != len(body) {
		t.Errorf("%q, %v, %d bytes written; want %q", body, err, stream.Written(), want)
	}
}

// TestTryDoesNotWait: what a full socket does not take is sent later, in order,
// and a client that takes nothing at all runs into the deadline.
func TestTryDoesNotWait(t *testing.T) {
	stream, conn := takenOver(t, sse.Options{WriteTimeout: 20 * time.Second})
	var buffer sse.Buffer
	var err error
	n := 0
	for ; err == nil; n++ {
		frame, _ := sse.Event{ID: fmt.Sprint(n), Data: bytes.Repeat([]byte("x"), 10_000)}.Append(nil)
		err = stream.Try(&buffer, frame)
	}
	if !errors.Is(err, sse.ErrFull) {
		t.Fatal(err)
	}
	all := make(chan error, 1)
	go func() {
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			all <- err
			return
		}
		reader := ssetest.NewReader(response.Body)
		for i := 0; ; i++ {
			e, err := reader.Next()
			if errors.Is(err, io.EOF) && i == n {
				err = nil
			} else if e.ID == fmt.Sprint(i) {
				continue
			}
			all <- errors.Join(err, response.Body.Close())
			return
		}
	}()
	stream.End()
	if err := stream.Send(); err != nil {
		t.Fatal(err)
	}
	stream.Close()
	if err := <-all; err != nil {
		t.Error(err)
	}

	stalled, _ := takenOver(t, sse.Options{WriteTimeout: 50 * time.Millisecond})
	for err = nil; err == nil; {
		err = stalled.Try(&buffer, make([]byte, 10_000))
	}
	if err := stalled.Send(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

func TestAwaitClient(t *testing.T) {
	stream, conn := takenOver(t, sse.Options{})
	_ = conn.Close()
	if !stream.AwaitClient() {
		t.Error("it has left")
	}
	stream, conn = takenOver(t, sse.Options{})
	_, _ = io.WriteString(conn, "GET /")
	if stream.AwaitClient() {
		t.Error("it is there, and talks")
	}
}

func TestCannotBeTakenOver(t *testing.T) {
	get := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	old := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	old.ProtoMinor = 0
	for _, r := range []*http.Request{
		get, // a recorder is no connection
		httptest.NewRequestWithContext(t.Context(), http.MethodHead, "/", nil),
		httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://x/", nil),
		old,
	} {
		w := httptest.NewRecorder()
		if _, err := sse.TakeOver(w, r, sse.Options{}); !errors.Is(err, errors.ErrUnsupported) {
			t.Error(r.Method, r.URL, err)
		}
		if _, err := sse.Open(w, sse.Options{}); err != nil {
			t.Error("nor is it as it was:", err)
		}
	}
}

// BenchmarkDelivery is one event to one client over TCP, the client's reading
// included.
func BenchmarkDelivery(b *testing.B) {
	stream, conn := takenOver(b, sse.Options{WriteTimeout: time.Minute})
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	frame, _ := sse.Event{ID: "1763683200000-0", Data: bytes.Repeat([]byte("x"), 100)}.Append(nil)
	frames := [][]byte{frame}
	var buffer sse.Buffer
	b.ReportAllocs()
	for b.Loop() {
		err := stream.Try(&buffer, frames...)
		if errors.Is(err, sse.ErrFull) {
			err = stream.Send()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
