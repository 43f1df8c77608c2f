package sse_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/ssetest"
)

func TestServe(t *testing.T) {
	ssetest.TestServe(t, func() (sse.ServeFunc, func()) { return sse.ServeInHandler, func() {} })
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
