package main

import (
	"cmp"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"example.com/sse-demo/sse"
)

// maxUnsent is how many bytes the kernel takes for a connection before it has sent
// them. Without this limit a write to a slow client waits until a third of a send
// buffer of up to 4 MB is free, and a client that needs longer than the write timeout
// for that looks like one that takes nothing. With it, one whose kernel acknowledges
// 1 kB/s is safe. It also bounds the memory that slow clients hold, and the age of
// the events that they get.
const maxUnsent = 16 << 10

// deadPeer is how long the kernel waits for a client that has vanished to
// acknowledge what was sent, heartbeats included. It is more than the patience of
// sse, because the kernel also counts the time in which a client is there and takes
// nothing; and it is less than 25 days, the kernel's limit.
func deadPeer(writeTimeout time.Duration) time.Duration {
	return max(time.Minute, (sse.MaxPatience+2)*min(writeTimeout, 24*time.Hour))
}

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
	return cmp.Or(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(deadPeer(writeTimeout).Milliseconds())),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent),
	)
}
