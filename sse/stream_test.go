package sse_test

import (
	"errors"
	"math"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/sse-demo/sse"
)

// TestJitter: delays are spread over the base ± 50 %.
func TestJitter(t *testing.T) {
	const base = time.Second
	low, high := time.Hour, time.Duration(0)
	for range 1000 {
		d := sse.Jitter(base)
		low, high = min(low, d), max(high, d)
	}
	if low < base/2 || low > base*6/10 || high > base*3/2 || high < base*14/10 {
		t.Errorf("from %v to %v", low, high)
	}
	for _, base := range []time.Duration{0, -1, math.MinInt64} {
		if d := sse.Jitter(base); d != 0 {
			t.Errorf("%v for %v", d, base)
		}
	}
	for range 100 {
		if d := sse.Jitter(math.MaxInt64); d < math.MaxInt64/3 {
			t.Errorf("%v for the longest duration", d)
		}
	}
}

// writer is a ResponseWriter of a connection that notes its write deadlines.
type writer struct {
	http.ResponseWriter
	header    http.Header
	deadlines []time.Time
	heads     int
	flushes   int
	fails     error
}

func newWriter() *writer { return &writer{header: http.Header{}} }

func (w *writer) Header() http.Header         { return w.header }
func (w *writer) WriteHeader(int)             { w.heads++ }
func (w *writer) Write(p []byte) (int, error) { return len(p), w.fails }

func (w *writer) FlushError() error {
	w.flushes++
	return w.fails
}

func (w *writer) SetWriteDeadline(t time.Time) error {
	w.deadlines = append(w.deadlines, t)
	return nil
}

// wrapped is a middleware's writer, with the method that ResponseController needs.
type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// opaque is one without.
type opaque struct{ http.ResponseWriter }

// TestWritersOfMiddleware: what can be unwrapped can flush; for what cannot there
// is an error, and nothing was written.
func TestWritersOfMiddleware(t *testing.T) {
	r := newRequest(t, 1)
	inner := newWriter()
	for _, w := range []http.ResponseWriter{inner, wrapped{inner}, wrapped{wrapped{inner}}} {
		before := inner.flushes
		if _, err := sse.Open(w, r, sse.Options{}); err != nil || inner.flushes != before+1 {
			t.Errorf("%T: %v", w, err)
		}
	}
	inner = newWriter()
	for _, w := range []http.ResponseWriter{opaque{inner}, wrapped{opaque{inner}}} {
		if _, err := sse.Open(w, r, sse.Options{Retry: time.Second}); !errors.Is(err, http.ErrNotSupported) || inner.heads > 0 {
			t.Errorf("%T: %v", w, err)
		}
	}
}

func newRequest(t *testing.T, protocol int) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.ProtoMajor = protocol
	return r
}

// TestWriteDeadlines: each write has at least the timeout, and an eighth more at
// the most; most writes set none.
func TestWriteDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 8 * time.Second
		w := newWriter()
		stream, err := sse.Open(w, newRequest(t, 1), sse.Options{WriteTimeout: timeout})
		if err != nil {
			t.Fatal(err)
		}
		frame := sse.MustFrame(sse.Event{Data: []byte("x")})
		for range 1000 {
			<-time.After(10 * time.Millisecond)
			if err := stream.Send(frame); err != nil {
				t.Fatal(err)
			}
			if left := time.Until(w.deadlines[len(w.deadlines)-1]); left < timeout || left > timeout*9/8+10*time.Millisecond {
				t.Fatalf("a write had %v", left)
			}
		}
		if n := len(w.deadlines); n != 10 { // 10 s in steps of a second and one write
			t.Errorf("%d deadlines for 1000 writes", n)
		}
		// A large frame is written in pieces, each with its own deadline.
		if err := stream.Send(make([]byte, 10<<20)); err != nil {
			t.Fatal(err)
		}
		// When there was time to read it, a write has as much as before it.
		<-time.After((sse.MaxPatience - 1) * timeout)
		if err := stream.Send(frame); err != nil {
			t.Fatal(err)
		}
		if left := time.Until(w.deadlines[len(w.deadlines)-1]); left < timeout || left > timeout*9/8+100*time.Millisecond {
			t.Errorf("a write after a large one had %v", left)
		}
	})
}

// TestWriteDeadlinesOfHTTP2: one that is left behind would end an idle stream, and one
// that is cleared in time would do so if the process was stopped meanwhile. So none is
// set but one that has passed, in the middle of a write.
func TestWriteDeadlinesOfHTTP2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 8 * time.Second
		w := newWriter()
		slow := &slowWriter{writer: w}
		stream, err := sse.Open(slow, newRequest(t, 2), sse.Options{WriteTimeout: timeout})
		if err != nil {
			t.Fatal(err)
		}
		for _, pause := range []time.Duration{0, timeout / 2, timeout * 9 / 8, 3 * timeout, timeout / 8, timeout} {
			for _, slow.takes = range []time.Duration{0, timeout - time.Second} {
				<-time.After(pause)
				if err := stream.Send([]byte("x")); err != nil {
					t.Fatal(err)
				}
			}
		}
		if len(w.deadlines) > 0 {
			t.Error(w.deadlines)
		}
		slow.takes = timeout*9/8 + time.Second
		began := time.Now()
		if err := stream.Send([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if len(w.deadlines) != 1 || w.deadlines[0].After(began) {
			t.Error(w.deadlines)
		}
	})
}

// slowWriter is a writer whose client takes its time for each write.
type slowWriter struct {
	*writer
	takes time.Duration
}

func (w *slowWriter) Write(p []byte) (int, error) {
	<-time.After(w.takes)
	return w.writer.Write(p)
}

// TestFailedWrites: HTTP/2 says only that the stream was closed, so the clock
// decides whether the deadline did it.
func TestFailedWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWriter()
		stream, err := sse.Open(w, newRequest(t, 1), sse.Options{WriteTimeout: time.Second, Retry: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		w.fails = errors.New("closed")
		if err := stream.Send([]byte("x")); !errors.Is(err, w.fails) || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		<-time.After(2 * time.Second)
		stalled := &stall{writer: w}
		stream, err = sse.Open(stalled, newRequest(t, 1), sse.Options{WriteTimeout: time.Second})
		if err == nil {
			err = stream.Send([]byte("x"))
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	})
}

// stall is a writer whose client takes nothing.
type stall struct{ *writer }

func (w *stall) FlushError() error { return nil }

func (w *stall) Write([]byte) (int, error) {
	<-time.After(time.Until(w.deadlines[len(w.deadlines)-1]))
	return 0, errors.New("http2: stream closed")
}

// TestLastEventIDLeavesTheBody: the parameter is of the query, also if the client
// posts a form, which the handler still has to read.
func TestLastEventIDLeavesTheBody(t *testing.T) {
	body := strings.NewReader("lastEventId=8")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/?lastEventId=7&%zz", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if id := sse.LastEventID(r); id != "7" || body.Len() == 0 {
		t.Errorf("id %q, %d bytes left", id, body.Len())
	}
}

// TestBacklog: a client gets a second for each 64 KiB that it was sent and that a
// slow one has yet to read.
func TestBacklog(t *testing.T) {
	const timeout = 10 * time.Second
	for _, tt := range []struct {
		bytes []int // written in the course of a second each
		want  time.Duration
	}{
		{nil, timeout},
		{[]int{0}, timeout},
		{[]int{64 << 10}, timeout},
		{[]int{640 << 10}, timeout + 9*time.Second},
		{[]int{640 << 10, 128 << 10, 0}, timeout + 9*time.Second},
		{[]int{128 << 10, 0, 0, 0, 128 << 10}, timeout + time.Second},
		{[]int{1 << 30, 0}, sse.MaxPatience*timeout - 2*time.Second},
	} {
		var backlog sse.Backlog
		now := time.Now()
		for _, n := range tt.bytes {
			backlog.Add(n, now, timeout)
			now = now.Add(time.Second)
		}
		if got := backlog.Patience(now, timeout); got != tt.want {
			t.Errorf("%v bytes: %v, want %v", tt.bytes, got, tt.want)
		}
		if got := backlog.Patience(now, 0); got != 0 {
			t.Errorf("%v bytes, no timeout: %v", tt.bytes, got)
		}
	}
}
