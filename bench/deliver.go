package main

import (
	"fmt"
	"syscall"
	"time"
)

// deliverMeasured publishes a load and sets the processor time of a delivery.
func (r *run) deliverMeasured(w load) error {
	if err := r.warm(); err != nil {
		return err
	}
	took := r.measure(func() { r.deliver(w) })
	r.set("cpu", took.Seconds()*1e6/float64(r.got))
	return nil
}

// paced is the everyday case: many clients, a steady flow.
func paced(r *run) error {
	if err := r.connect(1000, 1); err != nil {
		return err
	}
	return r.deliverMeasured(perSecond(50, r.seconds(4)))
}

// burst is as much as 8 publishers can publish.
func burst(r *run) error {
	if err := r.connect(500, 1); err != nil {
		return err
	}
	return r.deliverMeasured(load{messages: int(1000 * r.seconds(3).Seconds()), lasting: r.seconds(20)})
}

// idle is the memory of streams on which nothing happens.
func idle(r *run) error {
	if err := r.connect(8000, 1); err != nil {
		return err
	}
	r.memory(8000)
	return r.warm()
}

// idleAndPaced is idle and paced in one, for the transports.
func idleAndPaced(r *run) error {
	if err := r.connect(1000, 1); err != nil {
		return err
	}
	r.memory(1000)
	return r.deliverMeasured(perSecond(50, r.seconds(4)))
}

// channels gives each subscriber its own channel.
func channels(r *run) error {
	const n = 5000
	if err := r.connect(n, n); err != nil {
		return err
	}
	r.memory(n)
	return r.deliverMeasured(perSecond(2000, r.seconds(4)))
}

// many is 50,000 streams, or as many as descriptors allow.
func many(r *run) error {
	n := 50_000
	if !r.over.http2 {
		var limit syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			return err
		}
		n = min(n, int(limit.Cur)-2000)
	}
	if err := r.connect(n, 1); err != nil {
		return err
	}
	r.set("streams", float64(n))
	r.memory(n)
	return r.deliverMeasured(perSecond(1, max(2*time.Second, r.seconds(4))))
}

// slow adds subscribers that read a fiftieth of what is published. The memory of
// the kernel is that of both ends of their connections.
func slow(r *run) error {
	const fast, slow = 500, 1000
	r.size = 2000
	w := perSecond(25, r.seconds(4))
	if err := r.connect(fast, 1); err != nil {
		return err
	}
	r.part = "alone "
	if err := r.deliverMeasured(w); err != nil {
		return err
	}
	before, kernel := r.servers[0].rss(), kernelMemory()
	r.part, r.over.receiveBuffer = "", 4096
	if err := r.connect(slow, 1); err != nil {
		return err
	}
	for _, s := range r.subs[fast:] {
		s.slow, s.conn.slow = true, true
		r.slow.conns = append(r.slow.conns, s.conn)
	}
	r.slow.bytes, r.slow.next = 1000, r.tick()
	err := r.deliverMeasured(w)
	r.set("rss", float64(r.servers[0].rss()-before)/slow/1e3)
	r.set("kernel", float64(kernelMemory()-kernel)/slow/1e3)
	return err
}

// publish is what one publisher gets through, and what eight do, if nobody has
// subscribed.
func publish(r *run) error {
	all := r.pubs
	r.channels = 1
	for _, n := range []int{1, 8} {
		r.pubs, r.part = all[:n], fmt.Sprint(n, " ")
		took := r.measure(func() { r.deliver(load{messages: 1 << 20, lasting: r.seconds(2.4), unheard: true}) })
		r.set("cpu", took.Seconds()*1e6/float64(r.published))
	}
	return nil
}

// churn has 50 clients connect, wait for a message, and leave, over and over, while
// messages flow at 500 a second.
func churn(r *run) error {
	base, cycles, running := r.servers[0].sockets(), 0, true
	var failed error
	clients := map[*subscriber]bool{}
	again := func() {
		if !running {
			return
		}
		var s *subscriber
		if s, failed = r.subscribe(0, 0); failed == nil {
			clients[s] = true
		}
	}
	r.onLost = func(s *subscriber) {
		delete(clients, s)
		again()
	}
	r.onWarm = func(s *subscriber) {
		cycles++
		s.leave()
		delete(clients, s)
		again()
	}
	const gap = 2 * time.Millisecond
	begin := r.tick()
	took := r.measure(func() {
		for range 50 {
			again()
		}
		for next := begin; r.tick()-begin < r.seconds(4) && failed == nil && r.refused < 1000; {
			if r.now >= next && r.publish(0, 0, 0) {
				next = r.now + gap
			}
			r.step(next - r.now)
		}
	})
	r.set("cycles", float64(cycles)/(r.now-begin).Seconds())
	r.set("cpu", took.Seconds()*1e6/float64(cycles))
	running = false
	for s := range clients {
		s.leave()
	}
	r.rest(2 * time.Second)
	r.set("left", float64(r.servers[0].sockets()-base))
	return failed
}
