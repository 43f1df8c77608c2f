package sse_test

import (
	"net/http"
	"testing"

	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/ssetest"
)

func TestServe(t *testing.T) {
	ssetest.TestServe(t, func() (ssetest.ServeFunc, func()) { return serve, func() {} })
}

// serve reports the outcome to a function.
func serve(w http.ResponseWriter, r *http.Request, source sse.Source, o sse.Options, ended func(sse.Outcome)) error {
	outcome, err := sse.Serve(w, r, source, o)
	if err == nil {
		ended(outcome)
	}
	return err
}
