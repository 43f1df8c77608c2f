package pubsub

// Start says where a subscription begins. The zero value is for events to come.
type Start struct {
	// After is the id of the last event that the client has, as the client gave
	// it; "" for none. It may be any text: one that cannot be an id of the broker
	// begins with a gap.
	After string
	// Replay is how many of the newest kept events come first if After is empty.
	Replay int
}

// order is what a broker knows of the one order that its ids are positions in.
type order struct {
	begin  ID // what came before is unknown
	newest ID // that was given out
	latest ID // that may have been given out, here or on another replica
}

// subscribe needs the lock of the logs.
func subscribe(mu *notifier, logs []*Log, start Start, o order) *subscription {
	cursors := make([]cursor, len(logs))
	for i, l := range logs {
		cursors[i] = cursor{log: l, next: l.end}
	}
	s := newSubscription(mu, cursors, o.newest)
	s.until = o.newest
	if start.After != "" {
		s.resume(start.After, o)
		return s
	}
	for range start.Replay {
		if !s.stepBack() {
			break
		}
	}
	if oldest, ok := s.peek(); ok {
		s.last = oldest.previous()
	}
	return s
}

// resume continues after the id that a client gave. Nothing has to be known of
// the event itself, only whether anything after it is missing.
func (s *subscription) resume(after string, o order) {
	s.after = after
	id, ok := ParseID(after)
	if !ok || id == (ID{}) || id.Compare(o.latest) > 0 { // not an id of this broker: begin with all that is kept
		id, s.lost = ID{}, true
	}
	s.lost = s.lost || id.Compare(o.begin) < 0
	for i := range s.cursors {
		c := &s.cursors[i]
		c.next = c.log.after(id)
		s.lost = s.lost || c.log.hasLost(id)
	}
	if !s.lost {
		s.last, s.skip = id, id
	} else if oldest, ok := s.peek(); ok {
		s.last = oldest.previous()
	}
}

// stepBack moves before the newest event that is before the position; it returns
// false if none is kept.
func (s *subscription) stepBack() bool {
	var newest *cursor
	for i := range s.cursors {
		c := &s.cursors[i]
		if c.next > c.log.first && (newest == nil || c.log.at(c.next-1).id.Compare(newest.log.at(newest.next-1).id) > 0) {
			newest = c
		}
	}
	if newest == nil {
		return false
	}
	newest.next--
	return true
}

// skipSeen passes over events that came here after the client had them from
// another replica.
func (s *subscription) skipSeen() {
	for i := range s.cursors {
		c := &s.cursors[i]
		if c.log.dropped.Compare(s.skip) <= 0 {
			c.next = max(c.next, c.log.after(s.skip))
		}
		if c.log.hole.Compare(s.skip) <= 0 {
			c.holes = c.log.holes
		}
	}
}
