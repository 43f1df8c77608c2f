//go:build unix

package sse

import (
	"errors"
	"io"
	"net"
	"syscall"
)

func newConn(inner net.Conn, talks bool) *conn {
	c := &conn{Conn: inner, talks: talks, try: tryNothing}
	if socket, ok := inner.(syscall.Conn); ok {
		if raw, err := socket.SyscallConn(); err == nil {
			c.try = func(p []byte) (int, error) { return tryWrite(raw, p) }
		}
	}
	return c
}

// tryWrite writes what the socket takes. It does not wait because the function
// that it gives to raw.Write always says that it is done.
func tryWrite(raw syscall.RawConn, p []byte) (n int, err error) {
	closed := raw.Write(func(fd uintptr) bool {
		for {
			n, err = syscall.Write(int(fd), p)
			if !errors.Is(err, syscall.EINTR) {
				return true
			}
		}
	})
	switch {
	case closed != nil:
		return 0, closed
	case errors.Is(err, syscall.EAGAIN):
		return 0, nil
	case err != nil:
		return 0, err
	case n == 0 && len(p) > 0:
		return 0, io.ErrUnexpectedEOF
	}
	return n, nil
}
