package eventloop

import (
	"testing"
	"time"

	"example.com/sse-demo/sse"
)

// TestJoinDuringPass: a stream that joins after the worker has taken those before
// it, and is due later than the worker slept last, must not be slept over.
func TestJoinDuringPass(t *testing.T) {
	w := &worker{loop: New(), signal: make(chan struct{}, 1), sleeps: time.Now().Add(-time.Millisecond)}
	const wait = 50 * time.Millisecond
	s := &session{worker: w, lastWrite: time.Now(), options: sse.Options{Deadline: time.Now().Add(wait)}}
	if !w.join(s, false) {
		t.Fatal("the loop is closed")
	}
	if sleep := w.untilDue(); sleep > wait {
		t.Errorf("the worker sleeps for %v, and a stream is due in %v", sleep, wait)
	}
}
