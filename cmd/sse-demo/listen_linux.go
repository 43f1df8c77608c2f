package main

import (
	"math"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"example.com/sse-demo/sse"
)

// maxUnsent is how many bytes the kernel takes for a connection before it has sent
// them; when half of them are sent, it takes more. Without such a limit a write to
// a client that is slow waits until a third of a send buffer of up to 4 MB is free,
// and a client that needs longer than the write timeout for that looks like one
// that takes nothing. With it, one whose kernel acknowledges 1 kB/s is safe. It also
// bounds the memory that slow clients hold, and how old the events are that they
// get.
const maxUnsent = 16 << 10

// deadPeer is how long the kernel waits for a client that has vanished to
// acknowledge what was sent, heartbeats included. It must be more than the patience
// of sse: the kernel also counts the time in which a client is there and takes
// nothing.
func deadPeer(writeTimeout time.Duration) time.Duration {
	const times = sse.MaxPatience + 2
	return max(time.Minute, times*min(writeTimeout, maxDeadPeer/times))
}

// maxDeadPeer is the longest time that the kernel accepts, 25 days.
const maxDeadPeer = math.MaxInt32 * time.Millisecond

// listenConfig sets the options of connections once, on the socket that listens:
// those that it accepts inherit them. Set on each connection, the four of Go's
// keep-alive are a tenth of what a short stream costs.
func listenConfig(writeTimeout time.Duration) net.ListenConfig {
	config := net.ListenConfig{KeepAlive: -1, Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) { failed = setOptions(int(fd), writeTimeout) })
		if err != nil {
			return err
		}
		return failed
	}}
	config.SetMultipathTCP(false) // with it, which is Go's default, TCP_NOTSENT_LOWAT does nothing
	return config
}

func setOptions(fd int, writeTimeout time.Duration) error {
	for _, option := range []struct{ level, name, value int }{
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(deadPeer(writeTimeout).Milliseconds())},
		{unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent},
	} {
		if err := unix.SetsockoptInt(fd, option.level, option.name, option.value); err != nil {
			return err
		}
	}
	return nil
}
