//go:build unix

package eventloop

import (
	"errors"
	"io"
	"syscall"
)

// An attempt is a write that does not wait.
type attempt struct {
	once func(fd uintptr) // made once: each time would be an allocation
	p    []byte
	n    int
	err  error
}

// write writes as much of p as can be written at once. Raw may be nil: then nothing can.
func (a *attempt) write(raw syscall.RawConn, p []byte) (int, error) {
	if raw == nil {
		return 0, nil
	}
	if a.once == nil {
		a.once = func(fd uintptr) { a.n, a.err = send(fd, a.p) }
	}
	a.p = p
	closed := raw.Control(a.once) // RawConn.Write prepares to wait, and the sockets of net do not block
	a.p = nil
	switch {
	case closed != nil:
		return 0, closed
	case errors.Is(a.err, syscall.EAGAIN), errors.Is(a.err, syscall.EINTR):
		return 0, nil
	case a.err != nil:
		return 0, a.err
	case a.n == 0:
		return 0, io.ErrUnexpectedEOF
	}
	return a.n, nil
}
