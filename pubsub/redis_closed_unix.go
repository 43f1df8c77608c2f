//go:build unix

package pubsub

import (
	"errors"
	"net"
	"syscall"
)

// isClosed reports whether the other end has closed the connection, without
// waiting and without taking what has come.
func isClosed(conn net.Conn) bool {
	socket, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return true
	}
	closed := true
	err = socket.Control(func(fd uintptr) {
		n, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		if err == nil {
			closed = n == 0
		} else {
			closed = !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR)
		}
	})
	return closed || err != nil
}
