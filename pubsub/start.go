package pubsub

// Start is the place at which a subscription begins. The zero value is for events to come.
type Start struct {
	// After is the id of the last event that the client has, as the client gave
	// it; "" for none. It may be any text: one that cannot be an id of the broker
	// begins with a gap.
	After string
	// Replay is how many of the newest kept events come first if After is empty.
	Replay int
}

// subscribe needs the lock of the logs. newest is the last id that was given out, and
// latest the last that may have been, here or by another process.
func subscribe(mu *notifier, logs []*Log, start Start, newest, latest ID) *subscription {
	s := &subscription{mu: mu, cursors: make([]cursor, len(logs)), last: newest, until: newest, wake: func() {}}
	for i, l := range logs {
		s.cursors[i] = cursor{log: l, next: l.end, of: s}
		l.join(&s.cursors[i])
	}
	if start.After != "" {
		s.resume(start.After, latest)
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
func (s *subscription) resume(after string, latest ID) {
	s.after = after
	id, ok := ParseID(after)
	if !ok || id == (ID{}) || id.Compare(latest) > 0 { // not an id of this broker: begin with all that is kept
		id, s.lost = ID{}, true
	}
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
