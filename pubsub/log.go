package pubsub

import (
	"slices"
	"sort"
	"sync/atomic"
)

// entrySize is counted for an event on top of its frame: the entry, its share of
// the ring's spare room, and the rounding up of the allocator.
const entrySize = 96

// An Entry is an event in a log.
type Entry struct {
	ID    ID
	Frame []byte // as sse.Event.Append made it; not to be changed
}

// A Log is a ring of the newest events of one source. Positions in it are the
// running numbers of its events, so a position that was dropped is known to be.
type Log struct {
	mu        *crier // its own, or its broker's: one lock over all logs gives one order over all
	maxEvents int
	maxBytes  int // of one log; 0 for no such limit

	ring       []Entry // event n is at n modulo its length
	first, end uint64  // the events first ≤ n < end are kept
	bytes      int     // that these are counted with
	dropped    ID      // id of event first-1, or what the log began after
	subs       []*cursor
	isNews     bool        // the crier has yet to tell the subscribers
	wasRead    atomic.Bool // somebody has read, or has come, since they were told
}

// NewLog returns an empty log that keeps up to maxEvents events, and no more of
// them than maxBytes hold (0 for any number), but always the newest. It begins
// after the event base.
func NewLog(maxEvents, maxBytes int, base ID) *Log {
	return newLog(new(crier), maxEvents, maxBytes, base)
}

func newLog(mu *crier, maxEvents, maxBytes int, base ID) *Log {
	return &Log{mu: mu, maxEvents: max(maxEvents, 1), maxBytes: maxBytes, dropped: base}
}

// Append adds an event and wakes the subscribers.
func (l *Log) Append(id ID, frame []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.append(Entry{id, frame})
}

// Subscribe returns a cursor into the log, to be closed after use.
func (l *Log) Subscribe(start Start) *Subscription {
	l.mu.Lock()
	defer l.mu.Unlock()
	return subscribe(l.mu, []*Log{l}, start)
}

// SubscribeAfter returns a cursor right after the event with this id; ok is false
// where the log does not hold its place. Unlike Subscribe, it does not need ids
// that rise.
func (l *Log) SubscribeAfter(id ID) (s *Subscription, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for n := l.end; n > l.first; n-- {
		if l.at(n-1).ID == id {
			return newSubscription(l.mu, []cursor{{log: l, next: n}}, id), true
		}
	}
	if l.dropped == id {
		return newSubscription(l.mu, []cursor{{log: l, next: l.first}}, id), true
	}
	return nil, false
}

func (l *Log) at(n uint64) *Entry { return &l.ring[n%uint64(len(l.ring))] }

func (l *Log) len() int { return int(l.end - l.first) }

// lastID is the id of the newest event, kept or not.
func (l *Log) lastID() ID {
	if l.len() == 0 {
		return l.dropped
	}
	return l.at(l.end - 1).ID
}

// after is the number of the first kept event after id, in a log whose ids rise;
// known says whether id itself is an event of the log.
func (l *Log) after(id ID) (n uint64, known bool) {
	skip := sort.Search(l.len(), func(i int) bool { return l.at(l.first+uint64(i)).ID.Compare(id) > 0 })
	if n = l.first + uint64(skip); n > l.first {
		return n, l.at(n-1).ID == id
	}
	return n, l.dropped == id && id != ID{} // 0-0 is before all events, and the id of none
}

func (l *Log) append(e Entry) {
	if l.len() == l.maxEvents {
		l.drop()
	}
	if l.len() == len(l.ring) {
		l.grow()
	}
	*l.at(l.end) = e
	l.end++
	l.bytes += entrySize + len(e.Frame)
	for l.maxBytes > 0 && l.bytes > l.maxBytes && l.len() > 1 {
		l.drop()
	}
	l.mu.cry(l)
}

func (l *Log) join(c *cursor) {
	l.wasRead.Store(true)
	c.place = len(l.subs)
	l.subs = append(l.subs, c)
}

// leave puts the last subscriber in the place of the one that leaves.
func (l *Log) leave(c *cursor) {
	last := len(l.subs) - 1
	l.subs[c.place] = l.subs[last]
	l.subs[c.place].place = c.place
	l.subs[last] = nil
	l.subs = l.subs[:last]
	if cap(l.subs) > 4*last+16 {
		l.subs = slices.Clip(slices.Clone(l.subs))
	}
}

// drop forgets the oldest event.
func (l *Log) drop() {
	e := l.at(l.first)
	l.dropped = e.ID
	l.bytes -= entrySize + len(e.Frame)
	*e = Entry{}
	l.first++
}

// lose makes a hole: events up to id were never seen here. Every subscriber is
// told, also those that had read all there was.
func (l *Log) lose(id ID) {
	for l.len() > 0 {
		l.drop()
	}
	l.first++
	l.end++
	l.dropped = id
	l.mu.cry(l)
}

func (l *Log) grow() {
	old := l.ring
	l.ring = make([]Entry, min(max(2*len(old), 4), l.maxEvents))
	for n := l.first; n < l.end; n++ {
		*l.at(n) = old[n%uint64(len(old))]
	}
}
