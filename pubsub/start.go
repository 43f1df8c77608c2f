package pubsub

// Start says where a subscription begins.
type Start struct {
	// After is the id of the last event that the subscriber has, as its client
	// gave it. It may be anything: what is no id of the log starts with a gap.
	After string
	// Replay is how many of the newest kept events come first where After is
	// empty.
	Replay int
}

// subscribe needs the lock of the logs.
func subscribe(mu *crier, logs []*Log, start Start) *Subscription {
	var last ID
	cursors := make([]cursor, len(logs))
	for i, l := range logs {
		cursors[i] = cursor{log: l, next: l.end}
		if l.lastID().Compare(last) > 0 {
			last = l.lastID()
		}
	}
	s := newSubscription(mu, cursors, last)
	if start.After != "" {
		s.resume(start.After)
		return s
	}
	for range start.Replay {
		s.stepBack()
	}
	return s
}

// resume moves the cursors right after the event with this id, or, where it is
// none of theirs, to the oldest event that is kept.
func (s *Subscription) resume(after string) {
	s.after = after
	id, known := ParseID(after)
	if known {
		known = false
		for i := range s.cursors {
			c := &s.cursors[i]
			n, here := c.log.after(id)
			c.next = n
			known = known || here
			s.lost = s.lost || c.log.dropped.Compare(id) > 0
		}
	}
	if known {
		s.last = id
	} else {
		s.lost = true
		for i := range s.cursors {
			s.cursors[i].next = s.cursors[i].log.first
		}
	}
}

// stepBack moves the cursors before the newest event that is before them.
func (s *Subscription) stepBack() {
	var newest *cursor
	for i := range s.cursors {
		c := &s.cursors[i]
		if c.next > c.log.first && (newest == nil || c.log.at(c.next-1).ID.Compare(newest.log.at(newest.next-1).ID) > 0) {
			newest = c
		}
	}
	if newest != nil {
		newest.next--
	}
}
