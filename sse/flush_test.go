package sse_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"example.com/sse-demo/sse"
)

// TestMiddlewareThatHidesFlush: events would wait in a buffer for ever. The error
// comes before anything is written, so the client gets a proper 500.
func TestMiddlewareThatHidesFlush(t *testing.T) {
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	written := httptest.NewRecorder()
	if _, err := sse.Open(opaque{written}, request, sse.Options{}); !errors.Is(err, http.ErrNotSupported) {
		t.Error(err)
	}
	written.WriteHeader(http.StatusInternalServerError)
	if written.Code != http.StatusInternalServerError || written.Flushed {
		t.Error("something was written: ", written.Code)
	}
	written = httptest.NewRecorder()
	stream, err := sse.Open(wrapped{written}, request, sse.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send([]byte("data: a\n\n")); err != nil || !written.Flushed || written.Body.String() != "data: a\n\n" {
		t.Error(err, written.Body)
	}
}
