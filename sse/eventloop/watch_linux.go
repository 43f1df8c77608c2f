package eventloop

import (
	"os"
	"syscall"
	"unsafe"
)

// watch has leave called when the client leaves. One epoll instance (epoll(7)) and one
// goroutine wait for all clients: a goroutine for each would need over 2 kB. A client
// that sends something over TLS gets one: crypto/tls may have to write a reply. Watch
// returns false if the connection is not one of the system's.
func (l *Loop) watch(s *session) (isWatched bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.conn.raw == nil || l.epoll == nil && !l.startEpoll() {
		return false
	}
	epoll, err := l.epoll.SyscallConn()
	if err != nil {
		return false
	}
	events := uint32(syscall.EPOLLIN) // the end of the input, too
	if s.conn.sealer != nil {
		events |= syscall.EPOLLONESHOT
	}
	_ = epoll.Control(func(epoll uintptr) {
		_ = s.conn.raw.Control(func(fd uintptr) { // closing the connection ends it
			event := syscall.EpollEvent{Events: events, Fd: int32(s.id), Pad: int32(s.id >> 32)}
			isWatched = syscall.EpollCtl(int(epoll), syscall.EPOLL_CTL_ADD, int(fd), &event) == nil
		})
	})
	return isWatched
}

// startEpoll needs the lock.
func (l *Loop) startEpoll() bool {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return false
	}
	_ = syscall.SetNonblock(fd, true) // so that the poller of the Go runtime waits for it
	l.epoll = os.NewFile(uintptr(fd), "epoll")
	l.running.Go(l.awaitClients)
	return true
}

// awaitClients handles what clients send, and that they leave, until epoll is closed.
func (l *Loop) awaitClients() {
	raw, err := l.epoll.SyscallConn()
	if err != nil {
		return // it is closed already
	}
	events := make([]syscall.EpollEvent, 128)
	for {
		n := 0
		err := raw.Read(func(epoll uintptr) bool {
			n, _ = syscall.EpollWait(int(epoll), events, 0)
			return n > 0 // or wait in the poller of the Go runtime
		})
		if err != nil {
			return
		}
		for _, e := range events[:n] {
			id := uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32
			switch s := l.session(id); {
			case s == nil:
			case s.conn.sealer != nil:
				l.running.Go(s.waitClosed)
			case !s.dropInput():
				s.leave()
			}
		}
	}
}

// dropInput reads what the client has sent after its request. It returns false if
// the client has left, or has sent too much.
func (s *session) dropInput() bool {
	var dropped [4 << 10]byte
	n, failed := 0, error(nil)
	err := s.conn.raw.Read(func(fd uintptr) bool {
		n, failed = syscall.Read(int(fd), dropped[:])
		return true
	})
	if failed == syscall.EAGAIN || failed == syscall.EINTR { //nolint:errorlint // a system call's own
		return true
	}
	s.input += max(n, 0)
	return err == nil && failed == nil && n > 0 && s.input <= maxInput
}

// unacknowledged is how many bytes the kernel holds that the client has yet to
// confirm (SIOCOUTQ, tcp(7)). That fewer are left is progress, even if the socket
// takes no more: without TCP_NOTSENT_LOWAT it does so only when a third of its
// buffer is free.
func (c *conn) unacknowledged() int {
	if c.raw == nil {
		return 0
	}
	var bytes int32 // stays 0 after an error
	_ = c.raw.Control(func(fd uintptr) {
		_, _, _ = syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&bytes)))
	})
	return int(bytes)
}
