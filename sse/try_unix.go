//go:build unix

package sse

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// A socket writes to a connection without waiting.
type socket struct {
	raw     syscall.RawConn       // nil for a connection that can only be written to by waiting
	attempt func(fd uintptr) bool // write, made into a function once: each time would be an allocation
	p       []byte
	n       int
	err     error
}

func (s *socket) open(c net.Conn) {
	if socket, ok := c.(syscall.Conn); ok {
		if raw, err := socket.SyscallConn(); err == nil {
			s.raw, s.attempt = raw, s.write
		}
	}
}

// try writes as much of p as can be written at once.
func (s *socket) try(p []byte) (int, error) {
	if s.raw == nil {
		return 0, nil
	}
	s.p = p
	closed := s.raw.Write(s.attempt)
	s.p = nil
	switch {
	case closed != nil:
		return 0, closed
	case errors.Is(s.err, syscall.EAGAIN):
		return 0, nil
	case s.err != nil:
		return 0, s.err
	case s.n == 0 && len(p) > 0:
		return 0, io.ErrUnexpectedEOF
	}
	return s.n, nil
}

// write always says that it is done, so that RawConn.Write does not wait.
func (s *socket) write(fd uintptr) bool {
	for {
		s.n, s.err = syscall.Write(int(fd), s.p)
		if !errors.Is(s.err, syscall.EINTR) {
			return true
		}
	}
}
