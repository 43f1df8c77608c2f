package eventloop

import (
	"container/heap"
	"net"
	"testing"
	"time"

	"example.com/sse-demo/sse"
)

// TestJoinDuringPass: a stream that joins after the worker has taken those before
// it, and is due later than the worker slept last, must not be slept over.
func TestJoinDuringPass(t *testing.T) {
	w := &worker{loop: New(), signal: make(chan struct{}, 1), sleeps: time.Now().Add(-time.Millisecond)}
	const wait = 50 * time.Millisecond
	s := newSession(w, conn{}, nil, sse.Options{Deadline: time.Now().Add(wait)})
	if !w.join(s, false) {
		t.Fatal("the loop is closed")
	}
	if sleep := w.untilDue(); sleep > wait {
		t.Errorf("the worker sleeps for %v, and a stream is due in %v", sleep, wait)
	}
}

// TestStalledDuringPass: a client has stalled, and its stream has come back to the
// worker after the worker has taken its queue. If a heartbeat is due just then, the
// client gets no second time.
func TestStalledDuringPass(t *testing.T) {
	client, socket := net.Pipe()
	defer func() { _ = client.Close() }()
	ended := make(chan sse.Outcome, 1)
	l := New()
	l.running.Add(1)
	w := &worker{loop: l, signal: make(chan struct{}, 1)}
	s := newSession(w, conn{socket: socket, unsent: pieces{[]byte("x")}}, sse.SourceOf(), sse.Options{
		Heartbeat: time.Millisecond, WriteTimeout: 10 * time.Millisecond,
		Ended: func(o sse.Outcome) { ended <- o },
	})
	s.state = writing
	heap.Push(&w.clock, s)
	w.writeRest(s)
	w.scratch.now = time.Now()
	w.checkClock()
	if w.isWriting(s) {
		t.Fatal("the stream is written to again")
	}
	if o := <-ended; o.Reason != sse.ClientStalled {
		t.Errorf("%+v", o)
	}
}
