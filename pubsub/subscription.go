package pubsub

import "example.com/sse-demo/sse"

// What one Next returns at most, so that one subscriber's backlog is neither
// copied in one go nor written under one deadline.
const (
	batchEvents = 256
	batchBytes  = 16 << 10
)

var _ sse.Source = (*Subscription)(nil)

// A Subscription is a position in one or more logs, and an sse.Source. One
// goroutine may use it.
type Subscription struct {
	mu      *notifier // of the logs
	cursors []cursor
	after   string // the id that the client gave, until an event is read
	last    ID     // the event that was read last, or the position before the first
	until   ID     // the newest event when the subscription began
	skip    ID     // events up to it are not given; 0-0 if there can be none
	lost    bool   // events after the start are missing, and the gap is yet to be given
	wake    func()
	closed  func() // called with the lock held; may be nil
}

type cursor struct {
	log   *Log
	next  uint64 // number of the event to be read next
	index int    // among the subscribers of the log
	holes uint32 // of the log that a gap was given for
	of    *Subscription
}

func newSubscription(mu *notifier, cursors []cursor, last ID) *Subscription {
	s := &Subscription{mu: mu, cursors: cursors, last: last, wake: func() {}}
	for i := range cursors {
		c := &cursors[i]
		c.of = s
		c.log.join(c)
	}
	return s
}

// Position is the id after which the subscription begins; with a gap, the one
// right before the oldest event that follows. Call it before the first Next.
func (s *Subscription) Position() string { return s.last.String() }

// Notify makes the subscription call wake, from any goroutine, when there may be
// more than Next has given: at once if there already is. Until the next Next it
// need not be called again. wake must neither block nor use the subscription.
func (s *Subscription) Notify(wake func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wake = wake
	if s.hasMore() {
		wake()
	}
}

func (s *Subscription) hasMore() bool {
	_, more := s.peek()
	return more || s.fellBehind()
}

// Behind reports whether something that was there when the subscription began, an
// event or a gap, is yet to be given by Next.
func (s *Subscription) Behind() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.last.Compare(s.until) >= 0 {
		return false
	}
	next, ok := s.peek()
	return s.fellBehind() || ok && next.Compare(s.until) <= 0
}

// Next appends to frames what follows the position and moves on: a gap first if
// events were lost, then events in the order of their ids. It returns no more
// than a batch; if there is more, it wakes the subscription. The error is always
// nil: a channel does not end.
func (s *Subscription) Next(frames [][]byte) ([][]byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	s.noteRead()
	if s.fellBehind() {
		s.catchUp()
		frames = append(frames, s.gap())
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

// Read is Next for callers that want the events themselves. If events were lost,
// ok is false and the position stays.
func (s *Subscription) Read(entries []Entry) (_ []Entry, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	s.noteRead()
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

// noteRead makes the logs notify again: what comes from now on is new to a
// subscriber.
func (s *Subscription) noteRead() {
	for i := range s.cursors {
		if read := &s.cursors[i].log.wasRead; !read.Load() { // a store would take the cache line from other processors
			read.Store(true)
		}
	}
	if s.skip != (ID{}) {
		s.skipSeen()
	}
}

// Last is the id of the event that was read last, or the position at which the
// subscription begins.
func (s *Subscription) Last() ID { return s.last }

// Close takes the subscription off its logs. Closing it again does nothing.
func (s *Subscription) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.cursors {
		s.cursors[i].log.leave(&s.cursors[i])
	}
	s.cursors = nil
	if s.closed != nil {
		s.closed()
		s.closed = nil
	}
}

// fellBehind reports whether events between the position and those that are kept
// are missing.
func (s *Subscription) fellBehind() bool {
	for i := range s.cursors {
		if c := &s.cursors[i]; c.next < c.log.first || c.holes != c.log.holes {
			return true
		}
	}
	return s.lost
}

// catchUp moves the cursors that have lost events to what is kept. The others stay:
// a loss in one channel repeats nothing of another.
func (s *Subscription) catchUp() {
	s.lost = false
	for i := range s.cursors {
		c := &s.cursors[i]
		c.next = max(c.next, c.log.first)
		c.holes = c.log.holes
	}
}

// gap says that events between the position and the oldest that follows are lost.
func (s *Subscription) gap() []byte {
	after, oldest := s.after, ""
	if after == "" {
		after = s.last.String()
	}
	if id, ok := s.peek(); ok {
		oldest = id.String()
	}
	return sse.AppendGap(nil, after, oldest)
}

// lowest is the cursor at the event that comes next, or nil if there is none.
func (s *Subscription) lowest() (lowest *cursor) {
	for i := range s.cursors {
		c := &s.cursors[i]
		if c.number() < c.log.end && (lowest == nil || c.entry().ID.Compare(lowest.entry().ID) < 0) {
			lowest = c
		}
	}
	return lowest
}

// number is the number of the event to be read next: the oldest that is kept, if the
// position is before it.
func (c *cursor) number() uint64 { return max(c.next, c.log.first) }

func (c *cursor) entry() *Entry { return c.log.at(c.number()) }

// peek is the id of the event that comes next.
func (s *Subscription) peek() (id ID, ok bool) {
	if c := s.lowest(); c != nil {
		return c.entry().ID, true
	}
	return ID{}, false
}

// step reads the event that comes next.
func (s *Subscription) step() (Entry, bool) {
	c := s.lowest()
	if c == nil {
		return Entry{}, false
	}
	e := *c.entry()
	c.next++
	s.last, s.after = e.ID, ""
	s.skip = ID{} // ids rise, so no event below this one can follow
	return e, true
}
