package pubsub

import "example.com/sse-demo/sse"

// What one Next returns at most, so that one subscriber's backlog is neither
// copied in one go nor written under one deadline.
const (
	batchEvents = 256
	batchBytes  = 16 << 10
)

// A subscription implements Subscription.
type subscription struct {
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
	of    *subscription
}

func (s *subscription) Position() string { return s.last.String() }

func (s *subscription) Notify(wake func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wake = wake
	if _, more := s.peek(); more || s.fellBehind() {
		wake()
	}
}

func (s *subscription) Behind() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.last.Compare(s.until) >= 0 {
		return false
	}
	next, ok := s.peek()
	return s.fellBehind() || ok && next.Compare(s.until) <= 0
}

func (s *subscription) Next(frames [][]byte) ([][]byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	s.noteRead()
	if s.fellBehind() {
		frames = append(frames, s.catchUp())
	}
	for bytes, n := 0, 0; bytes < batchBytes && n < batchEvents; n++ {
		c := s.lowest()
		if c == nil {
			return frames, nil
		}
		frame := s.step(c)
		frames = append(frames, frame)
		bytes += len(frame)
	}
	s.wake()
	return frames, nil
}

// noteRead makes the logs notify again: what comes from now on is new to a
// subscriber.
func (s *subscription) noteRead() {
	for i := range s.cursors {
		if read := &s.cursors[i].log.wasRead; !read.Load() { // a store would take the cache line from other processors
			read.Store(true)
		}
	}
	if s.skip != (ID{}) {
		s.skipSeen()
	}
}

func (s *subscription) Close() {
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
func (s *subscription) fellBehind() bool {
	for i := range s.cursors {
		if c := &s.cursors[i]; c.next < c.log.first || c.holes != c.log.holes {
			return true
		}
	}
	return s.lost
}

// catchUp moves the cursors that have lost events to what is kept, and returns a gap event.
// The others stay: a loss in one channel repeats nothing of another.
func (s *subscription) catchUp() []byte {
	s.lost = false
	for i := range s.cursors {
		c := &s.cursors[i]
		c.next = max(c.next, c.log.first)
		c.holes = c.log.holes
	}
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
func (s *subscription) lowest() (lowest *cursor) {
	for i := range s.cursors {
		c := &s.cursors[i]
		if c.number() < c.log.end && (lowest == nil || c.entry().id.Compare(lowest.entry().id) < 0) {
			lowest = c
		}
	}
	return lowest
}

// number is the number of the event to be read next: the oldest that is kept, if the
// position is before it.
func (c *cursor) number() uint64 { return max(c.next, c.log.first) }

func (c *cursor) entry() *entry { return c.log.at(c.number()) }

// peek is the id of the event that comes next.
func (s *subscription) peek() (id ID, ok bool) {
	if c := s.lowest(); c != nil {
		return c.entry().id, true
	}
	return ID{}, false
}

// step moves a cursor past the event that comes next, and returns its frame.
func (s *subscription) step(c *cursor) []byte {
	e := c.entry()
	c.next++
	s.last, s.after = e.id, ""
	s.skip = ID{} // ids rise, so no event below this one can follow
	return e.frame
}
