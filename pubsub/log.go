package pubsub

import (
	"slices"
	"sort"
	"sync/atomic"
)

// entrySize is counted for an event on top of its frame: the entry, its share of
// the ring's spare room, and the rounding up of the allocator.
const entrySize = 96

// An entry is an event in a log.
type entry struct {
	id    ID
	frame []byte // as sse.Event.Append made it; not to be changed
}

// A Log keeps the newest events of one source for any number of subscribers. Use it
// for a stream without channels, such as the progress of one job, or if the events
// have ids already: a broker keeps a Log for each channel, and gives the ids itself.
type Log struct {
	mu        *notifier // its own, or its broker's: one lock over all logs gives one order over all
	maxEvents int

	// Positions are the running numbers of events, so one that was dropped is recognized.
	ring       []entry // event n is at n modulo its length
	first, end uint64  // the events first ≤ n < end are kept
	dropped    ID      // id of event first-1, or what the log began after
	hole       ID      // events up to this id may be missing between those that are kept
	holes      uint32  // how many there have been
	subs       []*cursor
	pending    bool        // the notifier has yet to notify the subscribers
	wasRead    atomic.Bool // a subscriber has read, or has joined, since they were notified
}

// NewLog returns an empty log that keeps up to maxEvents events. Base is the id of the
// last event before them, which is not in the log, or ID{} if there was none: a client
// that resumes before base gets a gap.
func NewLog(maxEvents int, base ID) *Log { return newLog(new(notifier), maxEvents, base) }

func newLog(mu *notifier, maxEvents int, base ID) *Log {
	return &Log{mu: mu, maxEvents: max(maxEvents, 1), dropped: base}
}

// Append adds an event and wakes the subscribers. Its id must be above base and all
// before it. Frame is the event with this id as sse.Event.Append made it, not to be
// changed any more.
func (l *Log) Append(id ID, frame []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.append(entry{id, frame})
}

// Subscribe returns a subscription to the log, to be closed after use.
func (l *Log) Subscribe(start Start) Subscription {
	l.mu.Lock()
	defer l.mu.Unlock()
	return subscribe(l.mu, []*Log{l}, start, l.lastID(), l.lastID())
}

func (l *Log) at(n uint64) *entry { return &l.ring[n%uint64(len(l.ring))] }

func (l *Log) len() int { return int(l.end - l.first) }

// lastID is the id of the newest event, kept or not.
func (l *Log) lastID() ID {
	if l.len() == 0 {
		return l.dropped
	}
	return l.at(l.end - 1).id
}

// after is the number of the first kept event after id, in a log whose ids rise.
func (l *Log) after(id ID) uint64 {
	skip := sort.Search(l.len(), func(i int) bool { return l.at(l.first+uint64(i)).id.Compare(id) > 0 })
	return l.first + uint64(skip)
}

// hasLost reports whether events after id may be missing.
func (l *Log) hasLost(id ID) bool {
	return l.dropped.Compare(id) > 0 || l.hole.Compare(id) > 0
}

func (l *Log) append(e entry) {
	if l.len() == l.maxEvents {
		l.drop()
	}
	if l.len() == len(l.ring) {
		l.grow()
	}
	*l.at(l.end) = e
	l.end++
	l.mu.notify(l)
}

func (l *Log) join(c *cursor) {
	l.wasRead.Store(true)
	c.holes = l.holes
	c.index = len(l.subs)
	l.subs = append(l.subs, c)
}

// leave gives the last subscriber the index of the one that leaves.
func (l *Log) leave(c *cursor) {
	last := len(l.subs) - 1
	l.subs[c.index] = l.subs[last]
	l.subs[c.index].index = c.index
	l.subs[last] = nil
	l.subs = l.subs[:last]
	if cap(l.subs) > 4*last+16 {
		l.subs = slices.Clip(slices.Clone(l.subs))
	}
}

// drop forgets the oldest event.
func (l *Log) drop() {
	oldest := l.at(l.first)
	l.dropped = oldest.id
	*oldest = entry{}
	l.first++
}

// lose marks a hole: events up to id may never have come. Every subscriber gets a
// gap, also one that has read all there was.
func (l *Log) lose(id ID) {
	l.hole = later(l.hole, id)
	l.holes++
	l.mu.notify(l)
}

func (l *Log) grow() {
	old := l.ring
	l.ring = make([]entry, min(max(2*len(old), 4), l.maxEvents))
	for n := l.first; n < l.end; n++ {
		*l.at(n) = old[n%uint64(len(old))]
	}
}
