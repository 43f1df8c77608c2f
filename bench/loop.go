package main

import (
	"crypto/tls"
	"errors"
	"io"
	"syscall"
	"time"
	"unsafe"
)

// A loop is one thread around one edge-triggered epoll. Raw system calls keep the
// Go scheduler out of the way: nothing else wants to run.
type loop struct {
	epoll  int
	conns  []*conn // by descriptor
	events [512]syscall.EpollEvent
	buf    []byte
	begin  time.Time
	now    time.Duration
	spin   bool          // poll instead of sleeping, so that the server never pays for waking us
	idle   time.Duration // processor time spent in pauses
	opened int
	slow   slowReaders
}

// A conn is one connection to a server, plain or over TLS.
type conn struct {
	loop   *loop
	fd     int
	user   user
	tls    *tls.Conn // nil without TLS
	out    []byte    // what the kernel has not taken yet
	slow   bool      // only slowReaders read it
	closed bool
}

// A user handles what happens on its connection.
type user interface {
	receive(b []byte) // valid until it returns
	lost()            // the connection failed, or the server closed it
}

func newLoop() (*loop, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	return &loop{epoll: epoll, begin: time.Now(), buf: make([]byte, 256<<10), spin: true}, err
}

func (l *loop) close() {
	for _, c := range l.conns {
		if c != nil {
			c.close()
		}
	}
	_ = syscall.Close(l.epoll)
}

// open connects to a port of 127.0.0.1. Source addresses are spread over
// 127.0.0.2-17 so that closed connections never exhaust the ports.
func (l *loop) open(port int, over transport) (*conn, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	const bindAddressNoPort = 24
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, bindAddressNoPort, 1)
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	if over.receiveBuffer > 0 {
		_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, over.receiveBuffer)
	}
	c := &conn{loop: l, fd: fd}
	err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(2 + l.opened%16)}})
	l.opened++
	if err == nil {
		err = syscall.Connect(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
	}
	if errors.Is(err, syscall.EINPROGRESS) {
		err = nil
	}
	if err == nil && over.tls {
		err = c.handshake(over.protocol())
	}
	if err == nil {
		const edge = syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP | 1<<31
		err = syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: edge, Fd: int32(fd)})
	}
	if err != nil {
		_ = syscall.Close(fd)
		return nil, err
	}
	for len(l.conns) <= fd {
		l.conns = append(l.conns, nil)
	}
	l.conns[fd] = c
	return c, nil
}

// close may be called at any time, and more than once.
func (c *conn) close() {
	if c.closed {
		return
	}
	c.closed = true
	_ = syscall.Close(c.fd)
	c.loop.conns[c.fd] = nil
}

// fail closes a connection that the server has ended, and tells its user.
func (c *conn) fail() {
	if !c.closed {
		c.close()
		c.user.lost()
	}
}

func (l *loop) tick() time.Duration {
	l.now = time.Since(l.begin)
	return l.now
}

// pause between two polls that find nothing keeps the epoll lock free for the
// server's sends. It bounds the error of a latency.
const pause = 50 * time.Microsecond

// step waits for events no longer than wait and handles one batch.
func (l *loop) step(wait time.Duration) {
	if l.spin {
		wait = 0
	}
	ts := syscall.NsecToTimespec(int64(max(wait, 0)))
	const epollPwait2 = 441
	n, _, _ := syscall.RawSyscall6(epollPwait2, uintptr(l.epoll), uintptr(unsafe.Pointer(&l.events[0])),
		uintptr(len(l.events)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	l.tick()
	l.slow.read(l)
	if int(n) <= 0 {
		if l.spin {
			before := threadCPU()
			for until := l.now + pause; l.now < until; {
				l.tick()
			}
			l.idle += threadCPU() - before
		}
		return
	}
	for i := range l.events[:n] {
		c, events := l.conns[l.events[i].Fd], l.events[i].Events
		if c == nil {
			continue
		}
		if events&(syscall.EPOLLOUT|syscall.EPOLLERR|syscall.EPOLLHUP) != 0 {
			c.flush()
		}
		if !c.slow && events&(syscall.EPOLLIN|syscall.EPOLLRDHUP|syscall.EPOLLHUP|syscall.EPOLLERR) != 0 {
			c.read()
		}
	}
}

// rest runs the loop for d without spinning.
func (l *loop) rest(d time.Duration) {
	defer func(spin bool) { l.spin = spin }(l.spin)
	l.spin = false
	for end := l.tick() + d; l.now < end; {
		l.step(end - l.now)
	}
}

// send sends b, over TLS if the connection has it.
func (c *conn) send(b []byte) {
	if c.tls == nil {
		c.out = append(c.out, b...)
		c.flush()
	} else if _, err := c.tls.Write(b); err != nil {
		c.fail()
	}
}

func (c *conn) flush() {
	for len(c.out) > 0 && !c.closed {
		n, err := syscall.Write(c.fd, c.out)
		if errors.Is(err, syscall.EAGAIN) {
			return
		}
		if err != nil {
			c.fail()
			return
		}
		c.out = c.out[n:]
	}
	c.out = nil
}

// read hands on everything that has arrived.
func (c *conn) read() {
	for buf := c.loop.buf; !c.closed; {
		n, err := c.receive(buf)
		if errors.Is(err, errAgain) {
			return
		}
		if err != nil {
			c.fail()
			return
		}
		c.loop.tick()
		c.user.receive(buf[:n])
		if c.tls == nil && n < len(buf) {
			return
		}
	}
}

func (c *conn) receive(buf []byte) (int, error) {
	if c.tls != nil {
		return c.tls.Read(buf)
	}
	return c.receiveRaw(buf)
}

func (c *conn) receiveRaw(buf []byte) (int, error) {
	n, errno := uintptr(0), syscall.EINTR
	for errno == syscall.EINTR {
		n, _, errno = syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(c.fd), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0, 0, 0)
	}
	switch {
	case errno == syscall.EAGAIN:
		return 0, errAgain
	case errno != 0:
		return 0, errno
	case n == 0:
		return 0, io.EOF
	}
	return int(n), nil
}

// slowReaders read a little from each of their connections once a second, and
// look at nothing of it.
type slowReaders struct {
	conns []*conn
	bytes int // a second and connection
	next  time.Duration
	index int
}

func (s *slowReaders) read(l *loop) {
	for ; len(s.conns) > 0 && s.next <= l.now; s.next += time.Second / time.Duration(len(s.conns)) {
		c := s.conns[s.index%len(s.conns)]
		s.index++
		if c.closed {
			continue
		}
		if _, err := c.receiveRaw(l.buf[:s.bytes]); err != nil && !errors.Is(err, errAgain) {
			c.fail()
		}
	}
}
