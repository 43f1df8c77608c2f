package pubsub

import (
	"slices"

	"example.com/sse-demo/sse"
)

// What one Next returns at the most, so that one subscriber's backlog is neither
// copied in one go nor written under one deadline.
const (
	batchEvents = 256
	batchBytes  = 16 << 10
)

// A Subscription is a position in one or more logs. One goroutine may use it.
type Subscription struct {
	mu      *crier // of the logs
	cursors []cursor
	after   string // the id that the client gave, until an event is read
	last    ID     // the last event that was read
	lost    bool   // the logs have forgotten what follows the start
	ahead   bool   // the logs have yet to hear of after; nothing is read until then
	wake    func()
	ready   chan struct{} // made by Ready
	closed  func()        // called with the lock held; may be nil
}

type cursor struct {
	log   *Log
	next  uint64 // number of the event to be read next
	place int    // among the subscribers of the log
	of    *Subscription
}

func newSubscription(mu *crier, cursors []cursor, last ID) *Subscription {
	s := &Subscription{mu: mu, cursors: cursors, last: last, wake: func() {}}
	for i := range cursors {
		c := &cursors[i]
		c.of = s
		c.log.join(c)
	}
	return s
}

// Notify makes the subscription call wake, from any goroutine, when there may be
// more than Next has given: at once, where there already is. What comes between
// that and the next Next need not call it again. Do not use it together with
// Ready. wake must neither block nor use the subscription.
func (s *Subscription) Notify(wake func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wake = wake
	if s.hasMore() {
		wake()
	}
}

func (s *Subscription) hasMore() bool {
	return s.lost || slices.ContainsFunc(s.cursors, func(c cursor) bool { return c.next < c.log.end })
}

// Ready receives when there may be something to read.
func (s *Subscription) Ready() <-chan struct{} {
	if s.ready == nil {
		ready := make(chan struct{}, 1)
		s.Notify(func() {
			select {
			case ready <- struct{}{}:
			default: // it has been told already
			}
		})
		s.ready = ready
	}
	return s.ready
}

// Next appends to frames what follows the position and moves on: a gap first
// where events were lost, then events in the order of their ids. It returns no
// more than a batch; where there is more, the subscription is woken again. The
// error is always nil; it is there for sources that end.
func (s *Subscription) Next(frames [][]byte) ([][]byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	s.note()
	if s.ahead {
		return frames, nil
	}
	if s.fellBehind() {
		frames = append(frames, s.gap())
		s.catchUp()
	}
	for bytes, n := 0, 0; bytes < batchBytes && n < batchEvents; n++ {
		e, ok := s.step()
		if !ok {
			return frames, nil
		}
		frames = append(frames, e.Frame)
		bytes += len(e.Frame)
	}
	s.wake()
	return frames, nil
}

// Read is Next for those who want the events themselves. Where events were lost
// it returns ok false, and the position stays.
func (s *Subscription) Read(entries []Entry) (_ []Entry, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	s.note()
	if s.fellBehind() {
		return entries, false
	}
	for bytes, n := 0, 0; bytes < batchBytes && n < batchEvents; n++ {
		e, ok := s.step()
		if !ok {
			return entries, true
		}
		entries = append(entries, e)
		bytes += len(e.Frame)
	}
	s.wake()
	return entries, true
}

// note tells the logs that somebody reads them: what comes from now on is news.
func (s *Subscription) note() {
	for i := range s.cursors {
		if read := &s.cursors[i].log.wasRead; !read.Load() { // a store would take the line from other processors
			read.Store(true)
		}
	}
}

// Last is the id of the event that was read last, or that of the newest event
// when the subscription began.
func (s *Subscription) Last() ID { return s.last }

// Close takes the subscription off its logs.
func (s *Subscription) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.cursors {
		s.cursors[i].log.leave(&s.cursors[i])
	}
	s.cursors = nil // so that it can be closed again
	if s.closed != nil {
		s.closed()
		s.closed = nil
	}
}

func (s *Subscription) fellBehind() bool {
	for _, c := range s.cursors {
		if c.next < c.log.first {
			return true
		}
	}
	return s.lost
}

func (s *Subscription) catchUp() {
	s.lost = false
	for i := range s.cursors {
		c := &s.cursors[i]
		c.next = max(c.next, c.log.first)
	}
}

func (s *Subscription) gap() []byte {
	after := s.after
	if after == "" {
		after = s.last.String()
	}
	return sse.AppendGap(nil, after, oldest(s.cursors))
}

// oldest is the oldest id that the logs still keep, or "".
func oldest(cursors []cursor) string {
	var id ID
	found := false
	for _, c := range cursors {
		if c.log.len() > 0 && (!found || c.log.at(c.log.first).ID.Compare(id) < 0) {
			id, found = c.log.at(c.log.first).ID, true
		}
	}
	if !found {
		return ""
	}
	return id.String()
}

// step reads the event with the lowest id that a cursor stands at.
func (s *Subscription) step() (Entry, bool) {
	var lowest *cursor
	for i := range s.cursors {
		c := &s.cursors[i]
		if c.next < c.log.end && (lowest == nil || c.log.at(c.next).ID.Compare(lowest.log.at(lowest.next).ID) < 0) {
			lowest = c
		}
	}
	if lowest == nil {
		return Entry{}, false
	}
	e := *lowest.log.at(lowest.next)
	lowest.next++
	s.last, s.after = e.ID, ""
	return e, true
}
