package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// The generator is one thread around one edge-triggered epoll. Raw system
// calls keep the Go scheduler out of the way: nothing else wants to run.

const maxPublishers = 16

type sock struct {
	fd     int
	slot   int
	pub    bool
	out    []byte // request bytes not yet accepted by the kernel
	raw    []byte // response head so far
	headed bool
	head   head
	body   body
	ready  bool // subscriber: 200 and text/event-stream; publisher: connected
	closed bool
	start  time.Duration

	// subscriber
	ev        events
	onBody    func([]byte)
	onEvent   func(seq int, sent int64)
	warm, got int
	seen      []uint64
	last      [maxPublishers]int32 // highest sequence number per publisher
	order     uint64               // hash over the sequence as received

	// publisher
	busy   bool
	asked  time.Duration
	length int // body bytes so far
}

type loop struct {
	o      *options
	ep     int
	socks  []*sock // by descriptor
	subs   []*sock
	pubs   []*sock
	evs    [512]syscall.EpollEvent
	buf    []byte
	t0     time.Time
	now    time.Duration
	spin   bool
	idle   time.Duration // CPU time spent in pauses
	opened int

	pending, ready    int // subscribers waiting for their head, and past it
	refused, dropped  int // connects that failed, subscribers cut by the server
	pubBusy, pubErr   int
	published         int
	total             int // messages in the measured run
	owner             []uint8
	got, dup, swapped int64
	reads             int64 // reads that brought bytes to subscribers
	lat               hist
	pubLat            hist // from a request to publish to its answer
	lastGot           time.Duration
	onSub             func(*sock, bool) // churn: first event (true) or end of a subscriber
}

func newLoop(o *options) (*loop, error) {
	ep, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &loop{o: o, ep: ep, t0: time.Now(), buf: make([]byte, 256<<10), spin: o.spin}, nil
}

func (l *loop) close() {
	for _, s := range l.socks {
		if s != nil {
			l.drop(s)
		}
	}
	syscall.Close(l.ep)
}

// open starts a connection and queues a request on it. Source addresses are
// spread over 127.0.0.2-17 so that closed connections never exhaust the ports.
func (l *loop) open(request []byte) (*sock, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	const bindAddressNoPort = 24
	syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, bindAddressNoPort, 1)
	syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(2 + l.opened%16)}})
	l.opened++
	if err == nil {
		err = syscall.Connect(fd, l.o.sockaddr)
	}
	if err != nil && err != syscall.EINPROGRESS {
		syscall.Close(fd)
		return nil, err
	}
	const edge = syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP | 1<<31
	ev := syscall.EpollEvent{Events: edge, Fd: int32(fd)}
	if err := syscall.EpollCtl(l.ep, syscall.EPOLL_CTL_ADD, fd, &ev); err != nil {
		syscall.Close(fd)
		return nil, err
	}
	s := &sock{fd: fd, out: request, start: l.tick()}
	for len(l.socks) <= fd {
		l.socks = append(l.socks, nil)
	}
	l.socks[fd] = s
	return s, nil
}

func (l *loop) subscribe() (*sock, error) {
	s, err := l.open(l.o.subscribeRequest)
	if err != nil {
		return nil, err
	}
	s.onEvent = func(seq int, sent int64) { l.event(s, seq, sent) }
	s.onBody = func(b []byte) { s.ev.feed(b, s.onEvent) }
	l.pending++
	return s, nil
}

func (l *loop) publisher(slot int) error {
	s, err := l.open(nil)
	if err != nil {
		return err
	}
	s.pub, s.slot = true, slot
	s.onBody = func(b []byte) { s.length += len(b) }
	for len(l.pubs) <= slot {
		l.pubs = append(l.pubs, nil)
	}
	l.pubs[slot] = s
	return nil
}

func (l *loop) drop(s *sock) {
	if l.socks[s.fd] != s {
		return
	}
	syscall.Close(s.fd)
	l.socks[s.fd] = nil
	s.closed = true
	if !s.pub {
		if s.ready {
			l.ready--
		} else {
			l.pending--
		}
	}
}

func (l *loop) tick() time.Duration {
	l.now = time.Since(l.t0)
	return l.now
}

// pause between two polls that find nothing keeps the epoll lock free for the
// server's sends. It bounds the error of a latency.
const pause = 50 * time.Microsecond

// step waits for events no longer than wait and handles one batch. With spin
// it polls instead of sleeping, so the server never pays for waking us.
func (l *loop) step(wait time.Duration) {
	if l.spin {
		wait = 0
	}
	ts := syscall.NsecToTimespec(int64(max(wait, 0)))
	const epollPwait2 = 441
	n, _, _ := syscall.RawSyscall6(epollPwait2, uintptr(l.ep), uintptr(unsafe.Pointer(&l.evs[0])),
		uintptr(len(l.evs)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	l.tick()
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
	for i := range l.evs[:n] {
		ev := &l.evs[i]
		s := l.socks[ev.Fd]
		if s == nil {
			continue
		}
		if len(s.out) > 0 && ev.Events&(syscall.EPOLLOUT|syscall.EPOLLERR|syscall.EPOLLHUP) != 0 {
			l.flush(s)
		}
		if s.pub && !s.ready {
			s.ready = true
		}
		if !s.closed && ev.Events&(syscall.EPOLLIN|syscall.EPOLLRDHUP|syscall.EPOLLHUP|syscall.EPOLLERR) != 0 {
			l.read(s)
		}
	}
}

func (l *loop) flush(s *sock) {
	n, _, e := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(s.fd), uintptr(unsafe.Pointer(&s.out[0])), uintptr(len(s.out)))
	switch {
	case e == 0:
		s.out = s.out[n:]
	case e != syscall.EAGAIN:
		l.end(s)
	}
}

func (l *loop) read(s *sock) {
	for {
		n, _, e := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(s.fd), uintptr(unsafe.Pointer(&l.buf[0])), uintptr(len(l.buf)), 0, 0, 0)
		if e == syscall.EAGAIN || e == syscall.EINTR {
			return
		}
		if e != 0 || n == 0 {
			l.end(s)
			return
		}
		l.tick()
		if !s.pub {
			l.reads++
		}
		l.input(s, l.buf[:n])
		if s.closed || int(n) < len(l.buf) {
			return
		}
	}
}

func (l *loop) input(s *sock, b []byte) {
	if !s.headed {
		s.raw = append(s.raw, b...)
		i := bytes.Index(s.raw, []byte("\r\n\r\n"))
		if i < 0 {
			return
		}
		s.headed, s.head = true, parseHead(s.raw[:i])
		b = s.raw[i+4:]
		s.body = body{chunked: s.head.chunked}
		if !s.pub {
			if s.head.status != 200 || !s.head.sse {
				l.end(s)
				return
			}
			s.ready = true
			l.pending--
			l.ready++
		}
	}
	if len(b) > 0 {
		s.body.feed(b, s.onBody)
	}
	if !s.pub {
		if s.body.ended && !s.closed {
			l.end(s)
		}
		return
	}
	h := s.head
	if s.body.ended || h.length >= 0 && s.length >= h.length || !h.chunked && h.length < 0 && h.status == 204 {
		if h.status < 200 || h.status > 299 {
			l.pubErr++
		}
		l.answered(s)
	}
}

func (l *loop) answered(s *sock) {
	l.pubLat.add(int64(l.now - s.asked))
	s.raw, s.headed, s.length, s.busy = s.raw[:0], false, 0, false
	l.pubBusy--
}

// end handles a connection that failed or that the server closed.
func (l *loop) end(s *sock) {
	switch {
	case s.pub:
		if s.busy {
			l.pubErr++
			l.answered(s)
		}
		l.drop(s)
		if err := l.publisher(s.slot); err != nil {
			l.pubErr++
		}
	default:
		if s.ready {
			l.dropped++
		} else {
			l.refused++
		}
		l.drop(s)
		if l.onSub != nil {
			l.onSub(s, false)
		}
	}
}

// event counts one delivered event. Sequence number 0 is the warm-up.
func (l *loop) event(s *sock, seq int, sent int64) {
	if l.onSub != nil {
		l.onSub(s, true)
		return
	}
	if seq == 0 {
		s.warm++
		return
	}
	if seq > l.total || s.closed {
		return
	}
	if s.seen == nil {
		s.seen = make([]uint64, l.total/64+1)
	}
	if s.seen[seq>>6]&(1<<(seq&63)) != 0 {
		l.dup++
		return
	}
	s.seen[seq>>6] |= 1 << (seq & 63)
	p := &s.last[l.owner[seq]]
	if int32(seq) < *p {
		l.swapped++
	} else {
		*p = int32(seq)
	}
	s.order = s.order*0x9E3779B97F4A7C15 + uint64(seq)
	s.got++
	l.got++
	l.lastGot = l.now
	l.lat.add(int64(l.now) - sent)
}

// payload is about 100 bytes of JSON: sequence number, publisher, send time.
func payload(seq, slot int, at time.Duration) string {
	b := make([]byte, 0, 128)
	b = append(b, `{"seq":`...)
	b = strconv.AppendInt(b, int64(seq), 10)
	b = append(b, `,"c":`...)
	b = strconv.AppendInt(b, int64(slot), 10)
	b = append(b, `,"t":`...)
	b = strconv.AppendInt(b, int64(at), 10)
	b = append(b, `,"pad":"`...)
	for len(b) < 98 {
		b = append(b, 'x')
	}
	return string(append(b, `"}`...))
}

// publish sends one message on an idle publisher; false if all are busy.
func (l *loop) publish(seq int, at time.Duration) bool {
	for _, s := range l.pubs {
		if s.busy || !s.ready || s.closed {
			continue
		}
		if at < 0 {
			at = l.tick()
		}
		if seq > 0 {
			l.owner[seq] = uint8(s.slot)
			l.published++
		}
		body := strings.Replace(l.o.body, "%s", payload(seq, s.slot, at), 1)
		s.out = fmt.Appendf(s.out[:0], "%s%d\r\n\r\n%s", l.o.publishHead, len(body), body)
		s.busy, s.asked = true, l.now
		l.pubBusy++
		l.flush(s)
		return true
	}
	return false
}
