package sse_test

import (
	"testing"

	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/ssetest"
)

func TestServe(t *testing.T) {
	ssetest.TestServe(t, func() (sse.ServeFunc, func()) { return sse.ServeInHandler, func() {} })
}
