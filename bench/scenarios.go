package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

func scenario(o *options, name string, r *result) error {
	srv, err := startServer(o)
	if err != nil {
		return err
	}
	defer srv.stop()
	l, err := newLoop(o)
	if err != nil {
		return err
	}
	defer l.close()
	r.RSSBase = srv.rss()
	publishers := o.publishers
	alone, isAlone := strings.CutPrefix(name, "publish")
	if isAlone {
		if publishers, err = strconv.Atoi(alone); err != nil {
			return err
		}
	}
	for i := range publishers {
		if err := l.publisher(i); err != nil {
			return err
		}
	}
	l.rest(100 * time.Millisecond)
	if r.RSSBase == 0 {
		return fmt.Errorf("no memory figures for pid %d", srv.pid)
	}

	if n, ok := strings.CutPrefix(name, "idle"); ok {
		subs, err := strconv.Atoi(n)
		if err != nil {
			return err
		}
		err = l.idleMemory(srv, r, subs)
		return err
	}
	if isAlone {
		return l.publishAlone(srv, r)
	}
	switch name {
	case "paced":
		return l.stream(srv, r, o.pacedSubs, int(o.pacedFor.Seconds()*float64(o.rate)), time.Second/time.Duration(o.rate))
	case "burst":
		return l.stream(srv, r, o.burstSubs, o.burstMsgs, 0)
	case "churn":
		return l.churn(srv, r)
	}
	return fmt.Errorf("unknown scenario %q", name)
}

// rest runs the loop for d without spinning.
func (l *loop) rest(d time.Duration) {
	spin := l.spin
	l.spin = false
	for end := l.tick() + d; l.now < end; {
		l.step(end - l.now)
	}
	l.spin = spin
}

// connect opens n subscribers, at most 64 unanswered at a time.
func (l *loop) connect(n int, r *result) error {
	spin := l.spin
	l.spin = false
	defer func() { l.spin = spin }()
	end := l.tick() + 60*time.Second
	for l.ready < n {
		for l.pending < 64 && l.ready+l.pending < n {
			s, err := l.subscribe()
			if err != nil {
				return err
			}
			l.subs = append(l.subs, s)
		}
		l.step(10 * time.Millisecond)
		if l.now > end || l.refused > 100 {
			return fmt.Errorf("only %d of %d subscribers got their head, %d refused", l.ready, n, l.refused)
		}
	}
	r.Subs = n
	return nil
}

// warm publishes until every subscriber has received something, which proves
// the subscription and not only the response head.
func (l *loop) warm() error {
	cold := 0
	for range 100 {
		l.publish(0, -1)
		l.rest(100 * time.Millisecond)
		cold = 0
		for _, s := range l.subs {
			if s.warm == 0 && !s.closed {
				cold++
			}
		}
		if cold == 0 {
			l.rest(300 * time.Millisecond)
			return nil
		}
	}
	return fmt.Errorf("%d subscribers never received anything, %d publish errors", cold, l.pubErr)
}

func (l *loop) idleMemory(srv *server, r *result, n int) error {
	start := l.tick()
	if err := l.connect(n, r); err != nil {
		return err
	}
	r.Secs = (l.tick() - start).Seconds()
	l.rest(2 * time.Second)
	r.RSSIdle = srv.rss()
	r.RSSPerSub = float64(r.RSSIdle-r.RSSBase) / float64(n)
	if err := l.warm(); err != nil {
		return err
	}
	r.RSSAfter = srv.rss()
	r.Dropped, r.Refused, r.PubErrors = l.dropped, l.refused, l.pubErr
	return nil
}

// meter takes CPU readings at both ends of a measured phase.
type meter struct {
	at                        time.Time
	server, own, core0, core1 time.Duration
}

func (l *loop) meter(srv *server) meter {
	l.idle = 0
	l.tick()
	return meter{time.Now(), srv.cpu(), ownCPU(), busy(l.o.serverCPU), busy(l.o.clientCPU)}
}

func (m meter) read(l *loop, srv *server, r *result) (own time.Duration) {
	cpu, own, c0, c1 := srv.cpu()-m.server, ownCPU()-m.own, busy(l.o.serverCPU)-m.core0, busy(l.o.clientCPU)-m.core1
	wall := time.Since(m.at).Seconds()
	r.CPUSecs = cpu.Seconds()
	r.OtherCPU = max(0, (c0-cpu).Seconds()/wall)
	r.OtherOnGen = max(0, (c1-own).Seconds()/wall)
	if l.spin {
		own -= l.idle
	}
	return own
}

// publishAlone publishes to a channel without subscribers, each publisher its next
// message when the last was answered.
func (l *loop) publishAlone(srv *server, r *result) error {
	l.owner, l.pubLat = make([]uint8, 2), hist{}
	m := l.meter(srv)
	start := l.tick()
	for l.tick()-start < l.o.publishFor {
		for l.publish(1, -1) {
		}
		l.step(100 * time.Millisecond)
	}
	m.read(l, srv, r)
	r.Secs = (l.tick() - start).Seconds()
	r.Published, r.PubErrors = int(l.pubLat.n), l.pubErr
	n := float64(max(r.Published, 1))
	r.PubPerSec, r.CPUPub = n/r.Secs, r.CPUSecs*1e6/n
	r.PubP50, r.PubP99 = float64(l.pubLat.quantile(.5))/1e3, float64(l.pubLat.quantile(.99))/1e3
	return nil
}

// stream publishes msgs messages to n subscribers, one every gap, or as fast
// as the publishers get their answers when gap is zero.
func (l *loop) stream(srv *server, r *result, n, msgs int, gap time.Duration) error {
	if err := l.connect(n, r); err != nil {
		return err
	}
	r.RSSIdle = srv.rss()
	if err := l.warm(); err != nil {
		return err
	}
	l.total, l.owner, l.reads = msgs, make([]uint8, msgs+1), 0
	m := l.meter(srv)
	start := l.tick()
	published := start
	const quiet = 3 * time.Second
	for l.got < int64(n)*int64(msgs) || l.pubBusy > 0 {
		for l.published < msgs {
			at := time.Duration(-1)
			if gap > 0 {
				if at = start + time.Duration(l.published)*gap; at > l.tick() {
					break
				}
			}
			if !l.publish(l.published+1, at) {
				break
			}
		}
		if l.published < msgs || l.pubBusy > 0 {
			published = l.now
		}
		wait := 100 * time.Millisecond
		if gap > 0 && l.published < msgs {
			wait = start + time.Duration(l.published)*gap - l.now
		}
		l.step(wait)
		if l.now-start > l.o.limit || l.now-max(l.lastGot, published) > quiet || l.dropped == n || !srv.alive() {
			break
		}
	}
	own := m.read(l, srv, r)

	r.Published, r.PubErrors, r.PubSecs = l.published, l.pubErr, (published - start).Seconds()
	r.Expected, r.Got, r.Dup, r.Swapped = int64(n)*int64(l.published), l.got, l.dup, l.swapped
	r.Lost = r.Expected - r.Got
	r.Dropped, r.Refused = l.dropped, l.refused
	orders := map[uint64]bool{}
	for _, s := range l.subs {
		if s.got == l.published {
			orders[s.order] = true
		}
	}
	r.Orders = len(orders)
	r.Secs = (l.lastGot - start).Seconds()
	if l.got > 0 {
		got := float64(l.got)
		r.PerSec = got / r.Secs
		r.CPUPer = r.CPUSecs * 1e6 / got
		r.GenPer = own.Seconds() * 1e6 / got
		r.PerRead = got / float64(l.reads)
		us := func(q float64) float64 { return float64(l.lat.quantile(q)) / 1e3 }
		r.P50, r.P99, r.P999, r.Max = us(.5), us(.99), us(.999), float64(l.lat.max)/1e3
	}
	r.RSSAfter = srv.rss()
	if !srv.alive() {
		return fmt.Errorf("the server died")
	}
	return nil
}

// churn lets a fixed number of slots connect, wait for one event and close,
// over and over, while messages flow at 500 per second.
func (l *loop) churn(srv *server, r *result) error {
	base := srv.sockets()
	r.Subs = l.o.churn
	cycles, running := 0, true
	var failed error
	again := func() {
		if _, err := l.subscribe(); err != nil {
			failed = err
		}
	}
	l.onSub = func(s *sock, ok bool) {
		if s.closed && ok {
			return // more events in the same read
		}
		if ok {
			cycles++
			l.drop(s)
		}
		if running {
			again()
		}
	}
	m := l.meter(srv)
	start := l.tick()
	for range l.o.churn {
		again()
	}
	const gap = 2 * time.Millisecond
	for next := start; l.tick()-start < l.o.churnFor && failed == nil && l.refused < 1000; {
		if l.now >= next && l.publish(0, -1) {
			next = l.now + gap
		}
		l.step(next - l.now)
	}
	r.Secs = (l.now - start).Seconds()
	own := m.read(l, srv, r)
	running = false
	for _, s := range l.socks {
		if s != nil && !s.pub {
			l.drop(s)
		}
	}
	l.rest(2 * time.Second)
	r.LeakQuiet = srv.sockets() - base
	for range 5 {
		l.publish(0, -1)
		l.rest(200 * time.Millisecond)
	}
	r.LeakPoked = srv.sockets() - base
	r.RSSAfter = srv.rss()
	r.Cycles, r.Refused, r.Dropped, r.PubErrors = cycles, l.refused, l.dropped, l.pubErr
	if cycles > 0 {
		r.CyclesPer = float64(cycles) / r.Secs
		r.CPUCycle = r.CPUSecs * 1e6 / float64(cycles)
		r.GenPer = own.Seconds() * 1e6 / float64(cycles)
	}
	if !srv.alive() {
		return fmt.Errorf("the server died")
	}
	return failed
}
