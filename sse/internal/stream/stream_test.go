package stream_test

import (
	"testing"
	"time"

	"example.com/sse-demo/sse/internal/stream"
)

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
		{[]int{1 << 30, 0}, stream.MaxPatience*timeout - 2*time.Second},
	} {
		s, free := stream.Stream{WriteTimeout: timeout}, stream.Stream{}
		now := time.Now()
		for _, n := range tt.bytes {
			s.AddBacklog(int64(n), now)
			free.AddBacklog(int64(n), now)
			now = now.Add(time.Second)
		}
		if got := s.Patience(now); got != tt.want {
			t.Errorf("%v bytes: %v, want %v", tt.bytes, got, tt.want)
		}
		if got := free.Patience(now); got != 0 {
			t.Errorf("%v bytes, no timeout: %v", tt.bytes, got)
		}
	}
}
