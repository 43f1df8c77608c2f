package check

import (
	"fmt"
	"hash/maphash"
	"strings"
	"sync"
	"time"
	"unicode"

	"example.com/sse-demo/sse"
)

// Limits of a record. An endpoint may send anything, for as long as it is listened
// to.
const (
	maxArrivals = 20_000  // events that are kept, as hashes
	maxSentID   = 4 << 10 // bytes of an id that a client can send back
	maxIDs      = 4 << 20 // bytes of all ids
	maxQuoted   = 60      // bytes of anything that is shown
	resumeAfter = 4       // events with an id, then the probe for resume returns to the middle of them
	minPatience = 2 * time.Second
	maxPatience = 15 * time.Second
)

// A record is what one client sees: on one connection or, if the stream ends and
// the client returns, on several.
type record struct {
	changed chan struct{} // receives after a change, for awaitEnough
	hasByte chan struct{} // closed when the first byte has come
	hasIDs  chan struct{} // closed when resumeAfter events with an id have come
	mu      sync.Mutex
	seen
}

// seen is the content of a record.
type seen struct {
	asked, opened time.Time // the first request, and its head
	latest        connection
	connections   int
	firstDelay    time.Duration // of the first byte, from the request that it answers
	hasFirst      bool          // a byte has come
	last          time.Time     // byte, or head
	closed        time.Time
	connected     bool
	ends          int           // how often the server has ended the stream
	hasEnded      bool          // the latest connection, by the server
	wasCut        bool          // one of the ends was not clean
	silence       time.Duration // the longest, within a connection
	burst         int           // of bytes, see burstSilence
	events        []arrival
	total, ids    int // events, and how many have an id; those beyond the limits included
	idBytes       int
	badID         string                   // one that cannot be sent back; quoted
	faults        map[sse.FaultKind]string // and the text of the first one
	retries       []time.Duration          // the last one of each connection that set one
	lastID        string                   // that a client would send
	encoding      string                   // Content-Encoding, although identity was asked for
	unreadable    bool                     // the encoding cannot be decoded
	tooLong       bool                     // an event was over maxEvent
	refused       string                   // the status that a returning client got, so that it gave up
}

// A connection is when one was asked for and when its head came.
type connection struct{ asked, opened time.Time }

// An arrival is an event: when its last byte came, and enough to recognize it.
type arrival struct {
	at    time.Time
	asked time.Time // the request of its connection
	id    string    // empty if the event itself has none
	name  string    // shortened
	sum   uint64    // of name and data
	burst int
}

// burstSilence separates two bursts of bytes.
const burstSilence = 200 * time.Millisecond

var seed = maphash.MakeSeed()

// newRecord returns the record of a client whose first request has this last id.
func newRecord(asked time.Time, lastID string) *record {
	return &record{
		changed: make(chan struct{}, 1), hasByte: make(chan struct{}), hasIDs: make(chan struct{}),
		seen: seen{asked: asked, lastID: lastID, faults: map[sse.FaultKind]string{}},
	}
}

func (r *record) change(do func(s *seen)) {
	r.mu.Lock()
	hadFirst, ids := r.hasFirst, r.ids
	do(&r.seen)
	if !hadFirst && r.hasFirst {
		close(r.hasByte)
	}
	if ids < resumeAfter && r.ids >= resumeAfter {
		close(r.hasIDs)
	}
	r.mu.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// now returns a copy of the record.
func (r *record) now() seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen // what is appended later is not in its slices
}

// connect notes a head.
func (s *seen) connect(c connection) {
	if s.connections == 0 {
		s.opened = c.opened
	}
	s.connections++
	s.burst++
	s.connected, s.hasEnded, s.latest, s.last = true, false, c, c.opened
}

// disconnect notes the end of a connection, by the server or by the client.
func (s *seen) disconnect(at time.Time, byServer, isClean bool) {
	s.connected, s.closed = false, at
	s.silence = max(s.silence, at.Sub(s.last))
	if s.hasEnded = byServer; byServer {
		s.ends++
		s.wasCut = s.wasCut || !isClean
	}
}

// bytes notes that some have come.
func (s *seen) bytes(at time.Time) {
	if !s.hasFirst {
		s.hasFirst, s.firstDelay = true, at.Sub(s.latest.asked)
	}
	silence := at.Sub(s.last)
	if silence >= burstSilence {
		s.burst++
	}
	s.silence, s.last = max(s.silence, silence), at
}

// event notes an event. The id is empty if the event itself has none.
func (s *seen) event(e sse.Event, id string) {
	s.total++
	if id != "" {
		s.ids++
	}
	if s.badID == "" && !canSendBack(id) {
		s.badID = quote(id)
		if len(id) > maxSentID {
			s.badID = fmt.Sprintf("%s of %d bytes", s.badID, len(id))
		}
	}
	if len(s.events) >= maxArrivals || s.idBytes > maxIDs {
		return
	}
	if len(id) > maxSentID {
		id = fmt.Sprintf("\x00%x", maphash.String(seed, id))
	}
	s.idBytes += len(id)
	var sum maphash.Hash
	sum.SetSeed(seed)
	_, _ = sum.WriteString(e.Name + "\n")
	_, _ = sum.Write(e.Data)
	name := e.Name[:min(len(e.Name), maxQuoted)]
	s.events = append(s.events, arrival{s.last, s.latest.asked, id, name, sum.Sum64(), s.burst})
}

// canSendBack reports whether every client can send id in a header.
func canSendBack(id string) bool {
	return len(id) <= maxSentID && !strings.ContainsFunc(id, unicode.IsControl)
}

// retry notes the reconnection time of the latest connection, which may have set one
// before.
func (s *seen) retry(d time.Duration, isFirst bool) {
	if isFirst {
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
	if !s.hasFirst {
		return maxPatience
	}
	return min(max(2*s.firstDelay, minPatience), maxPatience)
}

// withID returns the events that have an id.
func (s *seen) withID() []arrival {
	var events []arrival
	for _, e := range s.events {
		if e.id != "" {
			events = append(events, e)
		}
	}
	return events
}

// endings says how often the server has ended the stream; it is empty if it has not.
func (s *seen) endings() string {
	if s.ends == 0 {
		return ""
	}
	verb := "ended"
	if s.wasCut {
		verb = "was cut off"
	}
	return fmt.Sprintf("the stream %s %s in %s", verb, count(s.ends, "time", "times"), seconds(s.closed.Sub(s.asked)))
}
