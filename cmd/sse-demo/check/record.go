package check

import (
	"context"
	"fmt"
	"hash/maphash"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"

	"example.com/sse-demo/sse"
)

// Limits of a record, because an endpoint may send anything.
const (
	maxKept   = 4 << 20 // bytes of all events, without their data: 20,000 with short ids
	maxSentID = 4 << 10 // bytes of an id that a client can send back
	maxQuoted = 60      // bytes of anything that is shown
)

// A record is what one client sees: on one connection or, if the stream ends and
// the client returns, on several.
type record struct {
	mu sync.Mutex
	seen
}

// seen is the content of a record.
type seen struct {
	head                     // of the first request
	latest     head          // of the last request that was answered 200
	last       time.Time     // byte, or head
	closed     time.Time     // the latest connection; zero while it is open
	hasEnded   bool          // the server has closed it
	ends       int           // how often the server has ended the stream, or it broke off
	breaks     int           // how often it broke off
	refused    string        // the answer that a returning client got, so that it gave up
	hasFirst   bool          // a byte has come
	firstDelay time.Duration // of the first byte, from the request that it answers
	silence    time.Duration // the longest, within a connection
	events     []arrival
	total, ids int             // events, and how many have an id; those beyond the limits included
	kept       int             // bytes of events
	faults     []sse.Fault     // the first of each kind
	retries    []time.Duration // of each connection that set one, when it had ended
	lastID     string          // that a client would send
	tooLong    bool            // an event was over maxEvent
}

// A head is what came of a request before its body.
type head struct {
	asked, opened time.Time
	err           error // no answer came
	code          int
	proto         string
	header        http.Header
	url           *url.URL // after redirects
}

func (h head) sent() bool { return !h.asked.IsZero() }

func (h head) delay() time.Duration { return h.opened.Sub(h.asked) }

// encoding returns the Content-Encoding, or "" if there is nothing to decode. That is
// so of "none", too, which is not registered, but widespread to turn compression off.
func (h head) encoding() string {
	encoding := strings.ToLower(strings.TrimSpace(h.header.Get("Content-Encoding")))
	if encoding == "identity" || encoding == "none" {
		return ""
	}
	return encoding
}

// An arrival is an event: when its last byte came, and enough to recognize it.
type arrival struct {
	at    time.Time
	asked time.Time // the request of its connection
	id    string    // empty if the event itself has none
	name  string
	sum   uint64 // of name and data
}

// seed is of all sums, which are compared with each other only.
var seed = maphash.MakeSeed()

func (r *record) change(do func(s *seen)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	do(&r.seen)
}

// now returns a copy of the record.
func (r *record) now() seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen // what is appended later is not in its slices
}

// await returns when is reports true for the record, or ctx ends.
func (r *record) await(ctx context.Context, is func(s seen) bool) {
	const look = 20 * time.Millisecond
	for !is(r.now()) && pause(ctx, look) {
	}
}

// answer notes the result of a request. A 204 means that nothing will follow.
func (s *seen) answer(h head) {
	returns := s.sent()
	if !returns {
		s.head = h
	}
	switch instead := h.insteadOf(s.head); {
	case instead == "":
		s.latest, s.last, s.closed, s.hasEnded = h, h.opened, time.Time{}, false
	case returns && h.err == nil && h.code != http.StatusNoContent:
		s.refused = instead
	}
}

// Write notes when bytes have come.
func (r *record) Write(bytes []byte) (int, error) {
	now := time.Now()
	r.change(func(s *seen) {
		if !s.hasFirst {
			s.hasFirst, s.firstDelay = true, now.Sub(s.latest.asked)
		}
		s.silence, s.last = max(s.silence, now.Sub(s.last)), now
	})
	return len(bytes), nil
}

// event notes an event, and its id if the event itself has one.
func (s *seen) event(e sse.Event, hasID bool) {
	id := ""
	s.total++
	if hasID {
		id = e.ID
		s.ids++
	}
	if s.kept > maxKept {
		return
	}
	const fixed = 200 // bytes of an arrival, about
	s.kept += fixed + len(id) + len(e.Name)
	sum := maphash.String(seed, e.Name+"\n"+string(e.Data))
	s.events = append(s.events, arrival{s.last, s.latest.asked, id, e.Name, sum})
}

// isSendable reports whether this client can send id in a header. Others may not
// be able to send any control character.
func isSendable(id string) bool { return len(id) <= maxSentID && httpguts.ValidHeaderFieldValue(id) }

func (s *seen) fault(f sse.Fault) {
	if !slices.ContainsFunc(s.faults, func(known sse.Fault) bool { return known.Kind == f.Kind }) {
		f.Text = f.Text[:min(len(f.Text), maxQuoted+1)]
		s.faults = append(s.faults, f)
	}
}

// withID returns the events that have an id.
func (s *seen) withID() []arrival {
	return slices.DeleteFunc(slices.Clone(s.events), func(e arrival) bool { return e.id == "" })
}

// end is when the events in s end.
func (s *seen) end() time.Time {
	if len(s.events) < s.total {
		return s.events[len(s.events)-1].at
	}
	return s.closed
}

// endings describes how often the stream ended or, which is worse, broke off.
func (s *seen) endings() string {
	how, times := "the stream ended", s.ends
	if s.breaks > 0 {
		how, times = "the connection broke off", s.breaks
	}
	return fmt.Sprintf("%s %s in %s", how, count(times, "time", "times"), seconds(s.closed.Sub(s.asked)))
}
