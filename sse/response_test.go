package sse_test

import (
	"errors"
	"math"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/ssetest"
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
	header  http.Header
	heads   int
	flushes int
	fails   error

	mu        sync.Mutex
	deadlines []time.Time
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
	w.mu.Lock()
	defer w.mu.Unlock()
	if !t.IsZero() {
		w.deadlines = append(w.deadlines, t)
	}
	return nil
}

// set returns the deadlines that were set, and not cleared at once.
func (w *writer) set() []time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.deadlines
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
		if err := sse.Serve(w, r, sse.SourceOf(), sse.Options{}); err != nil || inner.flushes != before+1 {
			t.Errorf("%T: %v", w, err)
		}
	}
	inner = newWriter()
	for _, w := range []http.ResponseWriter{opaque{inner}, wrapped{opaque{inner}}} {
		if err := sse.Serve(w, r, sse.SourceOf(), sse.Options{Retry: time.Second}); !errors.Is(err, http.ErrNotSupported) || inner.heads > 0 {
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

// serving is a stream that is served to a writer, in a bubble.
type serving struct {
	*testing.T
	source  ssetest.Source
	ended   chan sse.Outcome
	timeout time.Duration
}

func serve(t *testing.T, w http.ResponseWriter, protocol int) *serving {
	s := &serving{T: t, ended: make(chan sse.Outcome, 1), timeout: 8 * time.Second}
	options := sse.Options{WriteTimeout: s.timeout, Ended: func(o sse.Outcome) { s.ended <- o }}
	var running sync.WaitGroup
	running.Go(func() {
		if err := sse.Serve(w, newRequest(t, protocol), &s.source, options); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { s.source.End(); running.Wait() })
	synctest.Wait()
	return s
}

// send sends an event, and returns when it was written or the stream has ended.
func (s *serving) send() {
	s.Helper()
	s.source.Add(1)
	synctest.Wait()
}

// TestWriteDeadlines: one of HTTP/2 that is left behind would end an idle stream, and one
// that is cleared in time would do so if the process was stopped meanwhile. So none is
// set but one that has passed, in the middle of a write that is late.
func TestWriteDeadlines(t *testing.T) {
	for _, protocol := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			w := &slowWriter{writer: newWriter()}
			s := serve(t, w, protocol)
			for _, pause := range []time.Duration{0, s.timeout / 2, s.timeout * 9 / 8, 3 * s.timeout, s.timeout / 8, s.timeout} {
				for _, takes := range []time.Duration{0, s.timeout - time.Second} {
					<-time.After(pause)
					w.takes.Store(int64(takes))
					s.send()
					<-time.After(takes)
				}
			}
			synctest.Wait()
			if len(w.set()) > 0 {
				t.Error(w.set())
			}
			w.takes.Store(int64(s.timeout + time.Second))
			began := time.Now()
			s.send()
			<-time.After(s.timeout - time.Millisecond)
			synctest.Wait()
			if len(w.set()) > 0 {
				t.Error("cut off too early")
			}
			<-time.After(2 * time.Millisecond)
			synctest.Wait()
			if len(w.set()) != 1 || w.set()[0].After(began) {
				t.Error(w.set())
			}
		})
	}
}

// slowWriter is a writer whose client takes its time for each write.
type slowWriter struct {
	*writer
	takes atomic.Int64 // as a time.Duration
}

func (w *slowWriter) Write(p []byte) (int, error) {
	<-time.After(time.Duration(w.takes.Load()))
	return w.writer.Write(p)
}

// TestFailedWrites: HTTP/2 says only that the stream was closed, so the clock
// decides whether the deadline did it.
func TestFailedWrites(t *testing.T) {
	for name, tt := range map[string]struct {
		after func(*serving) time.Duration
		want  sse.Reason
	}{
		"at once":            {func(*serving) time.Duration { return 0 }, sse.ClientGone},
		"after the deadline": {func(s *serving) time.Duration { return s.timeout + time.Millisecond }, sse.ClientStalled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &slowWriter{writer: newWriter()}
				s := serve(t, w, 1)
				w.fails = errors.New("http2: stream closed")
				w.takes.Store(int64(tt.after(s)))
				s.send()
				if o := <-s.ended; o.Reason != tt.want || o.Err == nil || o.Events != 0 {
					t.Errorf("%+v", o)
				}
			})
		})
	}
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

// TestLastEventIDByAnyEncoding: a parameter's name may be percent-encoded, too.
func TestLastEventIDByAnyEncoding(t *testing.T) {
	for query, want := range map[string]string{
		"lastEventId=1-2":               "1-2",
		"a=b&%6castEventId=1%2D2":       "1-2",
		"last%45vent%49d=7&lastEventId": "7",
		"lastEventId":                   "",
		"lasteventid=7":                 "",
		"a=lastEventId=7":               "",
		"lastEventId=%zz":               "%zz", // it is no id, so a gap follows
		"%zz=1&lastEventId=7":           "7",
		"lastEventId=a=b":               "a=b",
	} {
		r := &http.Request{URL: &url.URL{RawQuery: query}}
		if id := sse.LastEventID(r); id != want {
			t.Errorf("%s: %q, want %q", query, id, want)
		}
	}
}
