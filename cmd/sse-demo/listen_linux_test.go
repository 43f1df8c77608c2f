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
	const longest = maxDeadPeer / (sse.MaxPatience + 2)
	for timeout, want := range map[time.Duration]time.Duration{
		time.Second:         time.Minute,
		10 * time.Second:    130 * time.Second,
		longest + time.Hour: longest * (sse.MaxPatience + 2),
		math.MaxInt64:       longest * (sse.MaxPatience + 2),
	} {
		if got := deadPeer(timeout); got != want {
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
