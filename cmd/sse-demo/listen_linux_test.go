package main

import (
	"math"
	"testing"
	"time"

	"example.com/sse-demo/sse"
)

// TestLongWriteTimeouts: the kernel counts up to 25 days, in ms, and a write timeout
// may be longer.
func TestLongWriteTimeouts(t *testing.T) {
	const longest, kernel = (sse.MaxPatience + 2) * 24 * time.Hour, math.MaxInt32 * time.Millisecond
	for timeout, want := range map[time.Duration]time.Duration{
		time.Second:      time.Minute,
		10 * time.Second: 130 * time.Second,
		25 * time.Hour:   longest,
		math.MaxInt64:    longest,
	} {
		if got := deadPeer(timeout); got != want || got > kernel {
			t.Errorf("%v: %v, want %v", timeout, got, want)
		}
		config := listenConfig(timeout)
		listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Errorf("%v: %v", timeout, err)
			continue
		}
		_ = listener.Close()
	}
}

// TestListenWithoutMultipath: with Multipath TCP the kernel ignores TCP_NOTSENT_LOWAT.
func TestListenWithoutMultipath(t *testing.T) {
	if config := listenConfig(time.Second); config.MultipathTCP() {
		t.Error("the listener takes part in Multipath TCP")
	}
}
