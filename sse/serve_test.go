package sse_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/ssetest"
)

func TestServe(t *testing.T) {
	ssetest.TestServe(t, func() (serve func(http.ResponseWriter, *http.Request, sse.Source, sse.Options) error, end func()) {
		return sse.Serve, func() {}
	})
}

// TestPanic: a source that panics after two events has ended as failed, with what
// was sent before, and the panic goes on. A metric that only rises counts by it.
func TestPanic(t *testing.T) {
	source := new(ssetest.Source).Add(2)
	source.After = func() {
		if source.Calls.Load() == 3 {
			panic("in the source")
		}
	}
	var outcomes []sse.Outcome
	defer func() {
		if p := recover(); p != "in the source" {
			t.Error(p)
		}
		if len(outcomes) != 1 || outcomes[0].Reason != sse.SourceFailed || outcomes[0].Events != 2 || outcomes[0].Bytes == 0 || source.Closed.Load() != 1 {
			t.Errorf("%+v, closed %d times", outcomes, source.Closed.Load())
		}
	}()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	_ = sse.Serve(httptest.NewRecorder(), r, source, sse.Options{Ended: func(o sse.Outcome) { outcomes = append(outcomes, o) }})
	t.Error("it returns")
}

// TestContextOfRequest: a stream ends with the context of its request, which a
// middleware may have replaced, even if the source always has more.
func TestContextOfRequest(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	source := new(ssetest.Source).Add(1)
	source.After = func() {
		source.Add(1)
		if source.Calls.Load() == 10 {
			cancel()
		}
	}
	var outcome sse.Outcome
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	err := sse.Serve(httptest.NewRecorder(), r, source, sse.Options{Ended: func(o sse.Outcome) { outcome = o }})
	if err != nil || outcome.Reason != sse.ClientGone || outcome.Events != 10 {
		t.Errorf("%v, %+v", err, outcome)
	}
}

// TestTimeoutMiddleware: http.TimeoutHandler would hold the stream back until it ends,
// so it is refused. A middleware that gives the request a deadline, as that of chi and
// of Echo, ends the stream by it, which does not look as if the client had left.
func TestTimeoutMiddleware(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var err error
		var outcome sse.Outcome
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			err = sse.Serve(w, r, new(ssetest.Source).Add(1), sse.Options{Ended: func(o sse.Outcome) { outcome = o }})
		})
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		http.TimeoutHandler(handler, time.Minute, "").ServeHTTP(httptest.NewRecorder(), r)
		if !errors.Is(err, http.ErrNotSupported) || !strings.Contains(err.Error(), "*http.timeoutWriter") {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		handler.ServeHTTP(httptest.NewRecorder(), r.WithContext(ctx))
		if age := time.Since(start); err != nil || age != time.Minute || outcome.Reason != sse.DeadlineReached || outcome.Events != 1 {
			t.Errorf("after %v: %v, %+v", age, err, outcome)
		}
	})
}

// count is a source of so many events, one in each batch.
type count struct {
	frame []byte
	left  int
}

func (*count) Position() string { return "" }
func (*count) Notify(func())    {}

func (c *count) Next(frames [][]byte) ([][]byte, error) {
	if c.left == 0 {
		return frames, io.EOF
	}
	c.left--
	return append(frames, c.frame), nil
}

// TestServeAllocatesNothing for an event.
func TestServeAllocatesNothing(t *testing.T) {
	frame := sse.MustFrame(sse.Event{ID: "1", Data: []byte("x")})
	allocations := func(events int) float64 {
		w, r := newWriter(), newRequest(t, 2)
		return testing.AllocsPerRun(10, func() {
			if err := sse.Serve(w, r, &count{frame, events}, sse.Options{WriteTimeout: time.Minute, Sent: func(int, int, int64) {}}); err != nil {
				t.Error(err)
			}
		})
	}
	if few, many := allocations(1), allocations(1001); many != few {
		t.Errorf("%v allocations for an event, %v for 1001", few, many)
	}
}
