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

// one is a source that has one frame for each step.
type one struct {
	frame []byte
	given bool
}

func (*one) Position() string { return "" }
func (*one) Notify(func())    {}

func (o *one) Next(frames [][]byte) ([][]byte, error) {
	if o.given = !o.given; !o.given {
		return frames, nil
	}
	return append(frames, o.frame), nil
}

// TestStepAllocatesNothing: what a delivery needs is there already.
func TestStepAllocatesNothing(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	client, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	socket, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := socket.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var sent int
	s := newSession(&worker{loop: New()}, conn{socket: socket, raw: raw}, &one{frame: []byte("data: x\n\n")}, sse.Options{
		Heartbeat: time.Second, WriteTimeout: time.Second, Sent: func(events, _ int, _ int64) { sent += events },
	})
	var scratch scratch
	step := func() {
		if more, err := s.step(&scratch); more || err != nil {
			t.Fatal(more, err)
		}
	}
	if n := testing.AllocsPerRun(100, step); n != 0 || sent != 101 {
		t.Errorf("%v allocations for each of %d events", n, sent)
	}
	_ = socket.Close()
	_ = client.Close()
}
