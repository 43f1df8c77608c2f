package eventloop

import (
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// A watcher waits for all clients at once, with one epoll instance (epoll(7)) and
// one goroutine. A goroutine for each client would need over 2 kB a stream.
type watcher struct {
	epoll *os.File // is itself in the poller of the Go runtime

	mu       sync.Mutex
	sessions []*session // by file descriptor
}

// watches adds a stream to the loop's watcher, which begins with the first. It
// returns false if the connection is not one of the system's.
func (l *Loop) watches(s *session) bool {
	if s.conn.raw == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watcher == nil {
		w, err := newWatcher()
		if err != nil {
			return false
		}
		l.watcher = w
		l.running.Go(w.run)
	}
	return l.watcher.add(s) == nil
}

func newWatcher() (*watcher, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // for the poller of the Go runtime
		_ = syscall.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	w := &watcher{epoll: os.NewFile(uintptr(fd), "epoll")}
	if err := w.epoll.SetReadDeadline(time.Time{}); err != nil { // it is not in the poller
		_ = w.epoll.Close()
		return nil, err
	}
	return w, nil
}

// close ends run. The watcher may be nil.
func (w *watcher) close() {
	if w != nil {
		_ = w.epoll.Close()
	}
}

// control calls do with the descriptor of the epoll instance.
func (w *watcher) control(do func(epoll int) error) error {
	raw, err := w.epoll.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = do(int(fd)) }); err != nil {
		return err
	}
	return failed
}

// add registers the stream. Closing its connection is enough to end that.
func (w *watcher) add(s *session) error {
	return w.control(func(epoll int) error {
		var failed error
		err := s.conn.raw.Control(func(fd uintptr) {
			w.register(s, int(fd))
			event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)} // the end of the input, too
			failed = syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, int(fd), &event)
		})
		if err != nil {
			return err
		}
		return failed
	})
}

func (w *watcher) register(s *session, fd int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.sessions) <= fd {
		w.sessions = append(w.sessions, nil)
	}
	w.sessions[fd], s.watcher, s.watched = s, w, fd
}

// remove drops a stream. Another one may have its descriptor already.
func (w *watcher) remove(s *session) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.watched < len(w.sessions) && w.sessions[s.watched] == s {
		w.sessions[s.watched] = nil
	}
}

func (w *watcher) session(fd int32) *session {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sessions[fd]
}

// run handles events until the epoll instance is closed.
func (w *watcher) run() {
	raw, err := w.epoll.SyscallConn()
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
			// By now the descriptor may belong to another stream: its connection
			// knows whether its client has left, the event does not.
			if s := w.session(e.Fd); s != nil && !s.dropInput() {
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
func (c *conn) unacknowledged() (n int) {
	if c.raw == nil {
		return 0
	}
	var bytes int32
	_ = c.raw.Control(func(fd uintptr) {
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&bytes)))
		if errno != 0 {
			bytes = 0
		}
	})
	return int(bytes)
}
