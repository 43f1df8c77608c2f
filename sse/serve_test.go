package sse_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/ssetest"
)

func TestServe(t *testing.T) {
	ssetest.TestServe(t, func() (sse.ServeFunc, func()) { return sse.ServeInHandler, func() {} })
}

// TestServeSetsNoDeadlines: over HTTP/2 a deadline that passes ends the stream, and
// setting one costs, so a stream whose client takes what it is sent has none.
func TestServeSetsNoDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 8 * time.Second
		w, source := newWriter(), new(ssetest.Source)
		var serving sync.WaitGroup
		serving.Go(func() {
			if o, err := sse.Serve(w, newRequest(t, 2), source, sse.Options{WriteTimeout: timeout}); err != nil || o.Events != 1000 {
				t.Error(o, err)
			}
		})
		for range 1000 { // in 100 s
			<-time.After(100 * time.Millisecond)
			source.Add(1)
			synctest.Wait()
		}
		<-time.After(timeout)
		if len(w.deadlines) > 0 {
			t.Error(w.deadlines)
		}
		source.End()
		serving.Wait()
	})
}

// TestPanic: a source that panics after two events has ended as failed, with what
// was sent before, and the panic goes on. A metric that only rises counts by it.
func TestPanic(t *testing.T) {
	source := new(ssetest.Source).Add(2)
	source.After = func() {
		if source.Calls() == 2 {
			source.Panic = "in the source"
		}
	}
	var outcomes []sse.Outcome
	defer func() {
		if p := recover(); p != "in the source" {
			t.Error(p)
		}
		if len(outcomes) != 1 || outcomes[0].Reason != sse.SourceFailed || outcomes[0].Events != 2 || outcomes[0].Bytes == 0 {
			t.Errorf("%+v", outcomes)
		}
	}()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	_ = sse.ServeInHandler(httptest.NewRecorder(), r, source, sse.Options{}, func(o sse.Outcome) { outcomes = append(outcomes, o) })
	t.Error("it returns")
}
