package main

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// transport is how subscribers connect.
type transport struct {
	tls           bool
	http2         bool
	streams       int // per HTTP/2 connection
	receiveBuffer int // of the socket; 0 for the kernel's choice
}

func (t transport) protocol() string {
	if t.http2 {
		return "h2"
	}
	return "http/1.1"
}

func (t transport) scheme() string {
	if t.tls {
		return "https"
	}
	return "http"
}

// subscriber is one stream, and what has arrived on it.
type subscriber struct {
	run     *run
	channel int
	conn    *conn // over HTTP/2 it has others, too
	events  events
	ready   bool // has its head
	closed  bool
	slow    bool // nothing is expected of it

	warm, got int
	seen      []uint64             // bit set of sequence numbers
	last      [maxPublishers]int32 // highest sequence number by publisher
}

// subscribe opens a stream of a channel on a server of the run.
func (r *run) subscribe(server, channel int) (*subscriber, error) {
	s := &subscriber{run: r, channel: channel}
	port, path := r.servers[server].port, r.path(r.peer.subscribe, channel)
	if r.over.http2 {
		if r.mux == nil || int(r.mux.last/2) >= r.over.streams || r.mux.conn.closed {
			c, err := r.open(port, r.over)
			if err != nil {
				return nil, err
			}
			r.mux = newHTTP2(c)
		}
		r.mux.get(path, r.over.scheme(), s)
		s.conn = r.mux.conn
	} else {
		c, err := r.open(port, r.over)
		if err != nil {
			return nil, err
		}
		c.user = &http1{exchange: s}
		s.conn = c
		c.send([]byte(request("GET", path, "Accept: text/event-stream\r\n\r\n")))
	}
	r.pending++
	return s, nil
}

func (s *subscriber) head(status int, isStream bool) {
	if status != 200 || !isStream {
		s.lost()
		return
	}
	s.ready = true
	s.run.pending--
	s.run.ready++
}

func (s *subscriber) data(b []byte) {
	if !s.closed {
		s.events.feed(b, s.event)
	}
}

func (s *subscriber) done() { s.lost() }

// leave closes the subscriber's connection.
func (s *subscriber) leave() {
	if s.closed {
		return
	}
	s.closed = true
	s.conn.close()
	if s.ready {
		s.run.ready--
	} else {
		s.run.pending--
	}
}

func (s *subscriber) lost() {
	if s.closed {
		return
	}
	if s.ready {
		s.run.dropped++
	} else {
		s.run.refused++
	}
	s.leave()
	if s.run.onLost != nil {
		s.run.onLost(s)
	}
}

// event counts an event. Sequence number 0 is the warm-up.
func (s *subscriber) event(seq int, due int64) {
	r := s.run
	switch {
	case s.closed:
	case seq == 0:
		s.warm++
		if r.onWarm != nil {
			r.onWarm(s)
		}
	case seq < len(r.owner):
		s.count(seq, due)
	}
}

func (s *subscriber) count(seq int, due int64) {
	r := s.run
	if s.seen == nil {
		s.seen = make([]uint64, len(r.owner)/64+1)
	}
	if s.seen[seq>>6]&(1<<(seq&63)) != 0 {
		r.dup++
		return
	}
	s.seen[seq>>6] |= 1 << (seq & 63)
	if last := &s.last[r.owner[seq]]; int32(seq) < *last {
		r.swapped++
	} else {
		*last = int32(seq)
	}
	s.got++
	r.got++
	r.lastGot = r.now
	r.latency.add(int64(r.now) - due)
}

// connect opens n subscribers to the servers, in turn, and gives each the next of
// so many channels. At most 64 are without an answer at a time.
func (r *run) connect(n, channels int, servers ...int) error {
	defer func(spin bool) { r.spin = spin }(r.spin)
	r.spin = false
	if len(servers) == 0 {
		servers = []int{0}
	}
	r.channels = channels
	end, want := r.tick()+60*time.Second, r.ready+n
	for r.ready < want {
		for r.pending < 64 && r.ready+r.pending < want {
			i := len(r.subs)
			s, err := r.subscribe(servers[i%len(servers)], i%channels)
			if err != nil {
				return err
			}
			r.subs = append(r.subs, s)
		}
		r.step(10 * time.Millisecond)
		if r.now > end || r.refused > 100 {
			return fmt.Errorf("only %d of %d subscribers got their head, %d were refused", r.ready, want, r.refused)
		}
	}
	return nil
}

// warm publishes until every subscriber has received something, which proves the
// subscription and not only the response head.
func (r *run) warm() error {
	for range 10 {
		for channel, cold := range r.cold() {
			for cold && !r.publish(0, channel, 0) {
				r.rest(time.Millisecond)
			}
		}
		for end := r.tick() + 2*time.Second; r.now < end; r.rest(50 * time.Millisecond) {
			if !slices.Contains(r.cold(), true) {
				r.rest(300 * time.Millisecond)
				return nil
			}
		}
	}
	return errors.New("some subscribers never received anything")
}

// cold reports for each channel whether a subscriber of it has received nothing.
func (r *run) cold() []bool {
	cold := make([]bool, r.channels)
	for _, s := range r.subs {
		if s.warm == 0 && !s.closed && !s.slow {
			cold[s.channel] = true
		}
	}
	return cold
}
