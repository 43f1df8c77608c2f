//go:build unix

package eventloop

import (
	"net"
	"testing"
	"time"

	"example.com/sse-demo/sse"
)

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
	s := newSession(conn{socket: socket, raw: raw}, &one{frame: []byte("data: x\n\n")}, sse.Options{
		Heartbeat: time.Second, WriteTimeout: time.Second, Sent: func(events, _ int, _ int64) { sent += events },
	})
	var b buffer
	step := func() {
		if s.step(&b) || s.Reason != "" {
			t.Fatal(s.Err)
		}
	}
	if n := testing.AllocsPerRun(100, step); n != 0 || sent != 101 {
		t.Errorf("%v allocations for each of %d events", n, sent)
	}
	_ = socket.Close()
	_ = client.Close()
}
