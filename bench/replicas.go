package main

import (
	"fmt"
	"time"
)

// startReplicas starts Redis and n servers that share it. The first publishes; each
// of the others has so many subscribers.
func (r *run) startReplicas(n, subscribers int) error {
	if err := r.startRedis(); err != nil {
		return err
	}
	if err := r.start(n); err != nil {
		return err
	}
	r.rest(time.Second) // nchan refuses subscribers before it has connected to Redis
	if err := r.connectPublishers(maxPublishers); err != nil {
		return err
	}
	var others []int
	for i := range n - 1 {
		others = append(others, i+1)
	}
	if err := r.connect(subscribers*len(others), 1, others...); err != nil {
		return err
	}
	return r.warm()
}

// replicas is the way of a message from one replica to another, and what a replica
// pays for messages that nobody reads there.
func replicas(r *run) error {
	if err := r.startReplicas(2, 10); err != nil {
		return err
	}
	took := func(p *process, w load) float64 { // µs of processor time for a message
		before := p.cpu()
		r.deliver(w)
		return (p.cpu() - before).Seconds() * 1e6 / float64(r.published)
	}
	r.set("redis", took(r.redis, perSecond(100, r.seconds(4)))/2)
	r.part = "unheard "
	w := perSecond(1000, r.seconds(4))
	w.unheard = true
	r.set("cpu", took(r.servers[1], w))
	return nil
}

// follow is how many messages a second the replicas follow: as many are published
// as all of them have received, but for the last hundred.
func follow(r *run) error {
	for _, n := range []int{2, 4, 8} {
		r.part = fmt.Sprint(n, " ")
		if err := r.startReplicas(n, 1); err != nil {
			return err
		}
		before := r.redis.cpu()
		r.deliver(load{messages: 1 << 18, lasting: r.seconds(2.4), window: 100})
		r.set("redis", (r.redis.cpu()-before).Seconds()*1e6/float64(r.published)/float64(n))
		r.stop()
	}
	return nil
}

// stop ends the run's connections and servers, so that it can start anew.
func (r *run) stop() {
	for _, p := range r.pubs {
		p.conn.close()
	}
	for _, s := range r.subs {
		s.leave()
	}
	r.pubs, r.subs, r.dropped = nil, nil, 0
	r.stopServers()
	r.rest(100 * time.Millisecond)
}
