package pubsub

import "time"

// ahead is a subscription that begins after an event the mirror has yet to get.
type ahead struct {
	after ID
	round uint64 // under way when it was made
}

// Subscribe implements [Broker]. A client that comes from another replica may
// have an event that this one has yet to get: its subscription then begins when
// the mirror is there, or is known not to get there.
func (r *Redis) Subscribe(channels []string, start Start) *Subscription {
	r.mirror.mu.Lock()
	defer r.mirror.mu.Unlock()
	after, ok := ParseID(start.After)
	if !ok || after.Compare(r.last) <= 0 || after[0] > uint64(time.Now().Add(clockSkew).UnixMilli()) {
		return r.mirror.subscribe(channels, start)
	}
	s := r.mirror.subscribe(channels, Start{})
	s.after, s.ahead = start.After, true
	r.ahead[s] = ahead{after, r.round}
	closed := s.closed
	s.closed = func() { delete(r.ahead, s); closed() }
	return s
}

// settle begins the subscriptions that have waited for the mirror. caughtUp says
// that all which the stream had when this round of reading began has been read:
// who came before that round, and whose event is still not there, has an id that
// is none.
func (r *Redis) settle(caughtUp bool) {
	for s, a := range r.ahead {
		if a.after.Compare(r.last) <= 0 || caughtUp && a.round < r.round {
			delete(r.ahead, s)
			s.ahead = false
			s.resume(s.after)
			s.wake()
		}
	}
}
