package main

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// A run is one scenario with one peer: its servers, subscribers and publishers,
// what arrived, and what was measured.
type run struct {
	*loop
	peer    peer
	work    string // directory of the programs
	short   bool   // a quick round: measure for half as long
	servers []*process
	redis   *process // nil without replicas

	rssBefore int64 // of the first server
	over      transport
	values    map[string]float64
	part      string // of a scenario with several, before the names of its values

	channels       int    // that have subscribers
	size           int    // of a message
	mux            *http2 // takes more streams
	subs           []*subscriber
	pubs           []*publisher
	onWarm, onLost func(*subscriber)

	pending, ready   int // subscribers that wait for their head, and that have it
	refused, dropped int // subscribers that failed, and that the server cut off
	busy             int // publishers that wait for an answer
	publishErrors    int
	publishLatency   histogram // from a request to its answer

	owner             []uint8 // publisher of each message of the measured phase
	published         int
	got, dup, swapped int64
	latency           histogram // from when a message was due to its arrival
	lastGot           time.Duration
}

// execute runs a scenario with a peer on fresh servers.
func execute(sc scenario, p peer, work string, short bool) (values map[string]float64, err error) {
	l, err := newLoop()
	if err != nil {
		return nil, err
	}
	r := &run{loop: l, peer: p, work: work, short: short, over: sc.over, size: 100, values: map[string]float64{}}
	defer r.stopServers()
	defer l.close()
	if !sc.replicas {
		if err := r.start(1); err != nil {
			return nil, err
		}
		r.rest(500 * time.Millisecond)
		r.rssBefore = r.servers[0].rss()
		if err := r.connectPublishers(8); err != nil {
			return nil, err
		}
	}
	err = sc.run(r)
	for _, s := range r.servers {
		if !s.alive() {
			return r.values, errors.Join(err, errors.New("a server died"))
		}
	}
	if err == nil && r.refused+r.publishErrors > 0 {
		err = fmt.Errorf("%d streams were refused, %d publications failed", r.refused, r.publishErrors)
	}
	return r.values, err
}

// seconds is how long to measure: d, or half of it in a short round.
func (r *run) seconds(d float64) time.Duration {
	if r.short {
		d /= 2
	}
	return time.Duration(d * float64(time.Second))
}

func (r *run) path(text string, channel int) string {
	return strings.ReplaceAll(text, "{channel}", fmt.Sprintf("bench%d", channel))
}

func (r *run) set(name string, value float64) {
	if !math.IsNaN(value) && !math.IsInf(value, 0) {
		r.values[r.part+name] = value
	}
}

// setQuantiles sets the median and the 99th percentile, in milliseconds.
func (r *run) setQuantiles(name string, h *histogram) {
	for label, q := range map[string]float64{" p50": .5, " p99": .99} {
		r.set(name+label, h.quantile(q).Seconds()*1e3)
	}
}

// memory sets how much the servers have grown since their start, for each of n.
func (r *run) memory(n int) {
	r.rest(time.Second)
	r.set("rss", float64(r.servers[0].rss()-r.rssBefore)/float64(n)/1e3)
}

// measure runs a phase and returns the processor time that the servers took.
func (r *run) measure(phase func()) time.Duration {
	r.publishLatency, r.latency = histogram{}, histogram{}
	before, core, at := r.cpu(), busy(serverCore), time.Now()
	phase()
	took := r.cpu() - before
	others := max(0, busy(serverCore)-core-took)
	r.set("others", 100*others.Seconds()/time.Since(at).Seconds())
	return took
}

func (r *run) cpu() (sum time.Duration) {
	for _, s := range r.servers {
		sum += s.cpu()
	}
	if r.redis != nil {
		sum += r.redis.cpu()
	}
	return sum
}

// load is what is published in a measured phase.
type load struct {
	messages int           // at most
	lasting  time.Duration // after it nothing more is published
	gap      time.Duration // between two; 0: each publisher sends its next when the last was answered
	window   int           // messages that may be on their way to the slowest subscriber; 0 for any number
	unheard  bool          // to a channel that nobody has subscribed to
}

// perSecond is a load of so many messages a second.
func perSecond(rate int, lasting time.Duration) load {
	return load{messages: int(float64(rate) * lasting.Seconds()), gap: time.Second / time.Duration(rate), lasting: 2 * lasting}
}

// deliver publishes a load to the subscribers and waits until all has arrived, or
// nothing has for three seconds.
func (r *run) deliver(w load) {
	r.owner, r.published = make([]uint8, w.messages+1), 0
	r.got, r.dup, r.swapped = 0, 0, 0
	for _, s := range r.subs {
		s.seen, s.got, s.last = nil, 0, [maxPublishers]int32{}
	}
	begin := r.tick()
	r.lastGot = begin
	published := r.publishAll(w, begin)
	expected := r.expected(w)
	for r.got < expected && r.now-max(r.lastGot, published) < 3*time.Second {
		r.step(100 * time.Millisecond)
	}
	r.set("lost", 100*(1-float64(r.got)/float64(expected)))
	r.set("wrong", float64(r.dup+r.swapped))
	r.set("cut", float64(r.dropped))
	r.set("rate", float64(r.got)/(r.lastGot-begin).Seconds())
	r.set("publish rate", float64(r.published)/(published-begin).Seconds())
	r.setQuantiles("latency", &r.latency)
	r.setQuantiles("publish", &r.publishLatency)
}

// publishAll returns when the last publication was answered.
func (r *run) publishAll(w load, begin time.Duration) time.Duration {
	for r.published < w.messages && r.tick()-begin < w.lasting {
		due := begin + time.Duration(r.published)*w.gap
		channel := r.published % r.channels
		if w.unheard {
			channel = r.channels
		}
		switch {
		case due > r.now:
			r.step(due - r.now)
			continue
		case w.gap == 0:
			due = 0
		}
		if w.window > 0 && r.published-r.slowest() >= w.window || !r.publish(r.published+1, channel, due) {
			r.step(100 * time.Millisecond)
		}
	}
	for end := r.now + 5*time.Second; r.busy > 0 && r.now < end; {
		r.step(100 * time.Millisecond)
	}
	return r.now
}

// slowest is how many messages the subscriber has that has the fewest.
func (r *run) slowest() int {
	least := r.published
	for _, s := range r.subs {
		if !s.closed {
			least = min(least, s.got)
		}
	}
	return least
}

// expected is how many deliveries the published messages make.
func (r *run) expected(w load) (n int64) {
	for _, s := range r.subs {
		if !w.unheard && !s.slow && !s.closed {
			n += int64((r.published + r.channels - 1 - s.channel) / r.channels)
		}
	}
	return n
}
