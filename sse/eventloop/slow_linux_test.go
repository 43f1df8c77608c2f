package eventloop_test

import (
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/eventloop"
)

// TestSlowClientOverTCP reads less than the slowest rate that patience is for, but
// steadily: within the time for a write the kernel takes nothing, because a third
// of its buffer has to be free for that, but the client takes some.
func TestSlowClientOverTCP(t *testing.T) {
	t.Parallel()
	s := newService(t, smallListener{listenTCP(t)})
	s.dialer.Control = smallReceiveBuffer
	s.options.WriteTimeout = time.Second
	s.source = func() sse.Source { return &flood{} }
	s.begin()
	testSlowClient(s, s.readHead(s.dial("")))
}

func TestSlowClientOverTLS(t *testing.T) {
	t.Parallel()
	dialer := net.Dialer{Control: smallReceiveBuffer}
	s := overTLS(t, eventloop.ListenTLS(smallListener{listenTCP(t)}), dialer.DialContext, time.Second, &flood{})
	testSlowClient(s.service, s.response.Body)
}

func testSlowClient(s *service, in io.Reader) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	p := make([]byte, 1000)
	for range 50 { // of them two seconds for what the kernels hold
		<-tick.C
		if _, err := io.ReadFull(in, p); err != nil {
			s.Fatal(err, <-s.outcomes)
		}
	}
	if n := len(s.outcomes); n > 0 {
		s.Fatalf("cut off: %+v", <-s.outcomes)
	}
	if o := <-s.outcomes; o.Reason != sse.ClientStalled { // it has stopped reading
		s.Errorf("%+v", o)
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
