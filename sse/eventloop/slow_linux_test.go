package eventloop_test

import (
	"io"
	"syscall"
	"testing"
	"time"

	"example.com/sse-demo/sse"
)

// TestSlowClientOverTCP reads less than the slowest rate that patience is for, but
// steadily: within the time for a write the kernel takes nothing, because a third
// of its buffer has to be free for that, but the client takes some.
func TestSlowClientOverTCP(t *testing.T) {
	s := newService(t, listenTCP(t))
	s.server.ConnContext = smallWriteBuffer
	s.dialer.Control = smallReceiveBuffer
	s.options.WriteTimeout = time.Second
	s.source = func() sse.Source { return &flood{} }
	s.begin()
	conn := s.dial("")
	in := s.readHead(conn)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	p := make([]byte, 1000)
	for range 50 { // of them two seconds for what the kernels hold
		<-tick.C
		if _, err := io.ReadFull(in, p); err != nil {
			t.Fatal(err, <-s.outcomes)
		}
	}
	if n := len(s.outcomes); n > 0 {
		t.Fatalf("cut off: %+v", <-s.outcomes)
	}
	if o := <-s.outcomes; o.Reason != sse.ClientStalled { // it has stopped reading
		t.Errorf("%+v", o)
	}
}

// smallReceiveBuffer has the kernel of a client acknowledge whatever the client
// reads.
func smallReceiveBuffer(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10)
	})
	if err != nil {
		return err
	}
	return failed
}
