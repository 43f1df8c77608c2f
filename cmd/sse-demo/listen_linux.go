package main

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// deadPeer is how long the kernel waits, at the least, for a client that has
// vanished without a word to acknowledge what was sent, heartbeats included.
const deadPeer = time.Minute

// listenConfig sets the options of connections once, on the socket that listens:
// those that it accepts inherit them. Set on each connection, the four of Go's
// keep-alive are a tenth of what a short stream costs.
func listenConfig(writeTimeout time.Duration) net.ListenConfig {
	return net.ListenConfig{KeepAlive: -1, Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
			if failed == nil {
				failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(max(deadPeer, 2*writeTimeout).Milliseconds()))
			}
		})
		if err != nil {
			return err
		}
		return failed
	}}
}
