package check

import (
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"example.com/sse-demo/sse"
)

// A record is what one client has seen: of one connection or, if the client came
// back after the stream had ended, of several.
type record struct {
	changed chan struct{} // receives after a change, for awaitEnough
	hasByte chan struct{} // closed when the first byte has come
	hasIDs  chan struct{} // closed when resumeAfter events with an id have come
	mu      sync.Mutex
	seen
}

// resumeAfter events with an id, the probe for resume comes back to the middle of them.
const resumeAfter = 4

// seen is the content of a record.
type seen struct {
	asked       time.Time // when the first request was sent
	opened      time.Time // when its head came
	first, last time.Time // bytes; last begins as the time of the head
	closed      time.Time
	connected   bool
	connections int
	silence     time.Duration // the longest
	burst       int           // of bytes, see burstSilence
	events      []arrival
	total, ids  int // events, and those of them with an id; those beyond the limits included
	idBytes     int
	faults      map[sse.FaultKind]string // and the text of the first one
	retries     []time.Duration          // the last one of each connection that set one
	lastID      string
	encoding    string // that nobody asked for
	unreadable  bool   // the encoding cannot be decoded
	tooLong     bool   // an event was over maxEvent
	refused     string // the status that a client that came back got, so that it gave up
}

// An arrival is an event: when its last byte came, and enough to know it again.
type arrival struct {
	at         time.Time
	id         string // empty if the event has no id of its own
	name       string // shortened
	sum        uint64 // of name and data
	connection int    // the client's first is 1
	burst      int
}

// burstSilence is between two bursts of bytes.
const burstSilence = 200 * time.Millisecond

var seed = maphash.MakeSeed()

func newRecord(asked time.Time) *record {
	return &record{
		changed: make(chan struct{}, 1), hasByte: make(chan struct{}), hasIDs: make(chan struct{}),
		seen: seen{asked: asked, faults: map[sse.FaultKind]string{}},
	}
}

func (r *record) change(do func(s *seen)) {
	r.mu.Lock()
	before := r.seen
	do(&r.seen)
	if before.first.IsZero() && !r.first.IsZero() {
		close(r.hasByte)
	}
	if before.ids < resumeAfter && r.ids >= resumeAfter {
		close(r.hasIDs)
	}
	r.mu.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// now returns the record as it is now.
func (r *record) now() seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen // what is appended later is not in its slices
}

// connect notes that a head has come.
func (s *seen) connect(at time.Time) {
	if s.connections == 0 {
		s.opened = at
	}
	s.connections++
	s.burst++
	s.connected, s.last = true, at
}

// disconnect notes that the connection has ended.
func (s *seen) disconnect(at time.Time) {
	s.connected, s.closed = false, at
	s.silence = max(s.silence, at.Sub(s.last))
}

// bytes notes that some have come.
func (s *seen) bytes(at time.Time) {
	if s.first.IsZero() {
		s.first = at
	}
	silence := at.Sub(s.last)
	if silence >= burstSilence {
		s.burst++
	}
	s.silence, s.last = max(s.silence, silence), at
}

// event notes an event. The id is empty if the event has none of its own.
func (s *seen) event(e sse.Event, id string) {
	s.total++
	if id != "" {
		s.ids++
	}
	if len(s.events) >= maxArrivals || s.idBytes > maxIDs {
		return
	}
	if len(id) > maxID {
		id = fmt.Sprintf("\x00%x", maphash.String(seed, id))
	}
	s.idBytes += len(id)
	var sum maphash.Hash
	sum.SetSeed(seed)
	_, _ = sum.WriteString(e.Name + "\n")
	_, _ = sum.Write(e.Data)
	name := e.Name[:min(len(e.Name), maxQuoted)]
	s.events = append(s.events, arrival{s.last, id, name, sum.Sum64(), s.connections, s.burst})
}

// retry notes the reconnection time of the connection under way, of which it may
// be the second one.
func (s *seen) retry(d time.Duration, isNew bool) {
	if isNew {
		s.retries = append(s.retries, d)
		return
	}
	s.retries[len(s.retries)-1] = d
}

func (s *seen) fault(f sse.Fault) {
	if _, known := s.faults[f.Kind]; !known {
		s.faults[f.Kind] = f.Text[:min(len(f.Text), maxQuoted+1)]
	}
}

// patience is how long a probe waits: twice the delay of the first byte.
func (s *seen) patience() time.Duration {
	if s.first.IsZero() {
		return maxPatience
	}
	return min(max(2*s.first.Sub(s.asked), minPatience), maxPatience)
}

// withID returns the events that have an id of their own.
func (s *seen) withID() []arrival {
	var events []arrival
	for _, e := range s.events {
		if e.id != "" {
			events = append(events, e)
		}
	}
	return events
}
