package check

import (
	"fmt"
	"net/http"
	"time"
)

func judgeResume(o *observation) Result {
	s := o.stream
	_, repeated := repeatedID(s)
	refused := ""
	if s.refused != "" {
		refused = "; when the stream had ended and the client came back, it got " + s.refused
	}
	switch {
	case s.total < enoughEvents:
		return skip("%s seen, too few to judge%s", count(s.total, "event", "events"), refused)
	case s.ids == 0:
		return skip("the events have no ids%s", refused)
	case repeated:
		return skip("the ids are not unique%s", refused)
	case !o.resumed.sent && s.refused == "":
		return skip("too few events have an id that can be sent back")
	}
	const means = "A client whose connection breaks, as mobile ones do all the time, misses events, or gets them twice."
	const fix = "Keep the last events, and send a client that comes with Last-Event-ID everything after that id, in order, then what is new."
	if s.refused != "" {
		return fail(fmt.Sprintf("coming back after id %s, when the stream had ended, got no stream: %s", quote(s.lastID), s.refused), means, fix)
	}
	came := fmt.Sprintf("coming back after id %s ", quote(o.lastID))
	if r := o.resumed; r.err != nil || r.code != http.StatusOK {
		return fail(came+"got no stream: "+answerOf(r), means, fix)
	}
	if problem := o.resumeFault(); problem != "" {
		return fail(came+problem, means, fix)
	}
	return ok("%sgave what follows it, once and in order", came)
}

// resumeFault compares what the client got that came back with what the one got
// that stayed.
func (o *observation) resumeFault() string {
	stayed := o.stream.withID()
	index := map[string]int{}
	for i, e := range stayed {
		if _, known := index[e.id]; !known {
			index[e.id] = i
		}
	}
	after := index[o.lastID]
	got := map[int]bool{}
	newest := after
	for _, e := range o.resumed.stream.withID() {
		i, known := index[e.id]
		switch {
		case !known:
			continue
		case i <= after || got[i]:
			return fmt.Sprintf("repeated the event with id %s", quote(e.id))
		case i < newest:
			return fmt.Sprintf("gave the event with id %s out of order", quote(e.id))
		}
		got[i], newest = true, i
	}
	var missing []arrival // after the newest that came
	for i := after + 1; i < len(stayed); i++ {
		if index[stayed[i].id] != i || got[i] { // the client that stayed got it twice, or both got it
			continue
		}
		missed := stayed[i].at.Before(o.resumed.stream.asked) // while the client was away
		if i < newest || missed {
			return fmt.Sprintf("lost the event with id %s", quote(stayed[i].id))
		}
		missing = append(missing, stayed[i])
	}
	if o.neverLive(stayed[newest], missing) {
		return fmt.Sprintf("gave what was missed, and then nothing new: it lost the event with id %s", quote(missing[0].id))
	}
	return ""
}

// neverLive reports whether the client that came back got nothing that happened
// since then, although more is missing than a buffer on the way may hold. The newest
// event is the last one that it got.
func (o *observation) neverLive(newest arrival, missing []arrival) bool {
	r := o.resumed.stream
	from, until := r.opened.Add(subscribed), r.end().Add(-2*maxLate)
	due := 0
	for _, e := range missing {
		if e.at.After(from) && e.at.Before(until) {
			due++
		}
	}
	return newest.at.Before(from) && due > clumpsOf(o.stream.events).largest+1
}

func judgeUnknownID(o *observation) Result {
	u := o.unknown
	given := u.header.Get("Last-Event-ID")
	switch {
	case u.err != nil:
		return fail("a client that comes with an unknown Last-Event-ID gets no answer: "+answerOf(u),
			"It never gets a stream again, because it sends the same id at each attempt.", "Answer 200 whatever the id is.")
	case u.code == http.StatusNoContent:
		return ok("204 to a client that comes with an unknown Last-Event-ID: it stops")
	case u.code != http.StatusOK:
		return fail(u.status+" to a client that comes with an unknown Last-Event-ID",
			"EventSource gives up for good at any status but 200: a restart that forgets ids ends all clients.",
			"Answer 200 whatever the id is, and say in an event that some may be lost.")
	case given != "" && given != unknownID:
		return ok("the response's Last-Event-ID says where the stream begins: %s", quote(given))
	}
	if sign := o.signOfLoss(); sign != "" {
		return ok("a client that comes with an unknown Last-Event-ID gets %s", sign)
	}
	return warn("a client that comes with an unknown Last-Event-ID gets what a new one gets",
		"It cannot know that it has missed something.",
		"Say so in an event (like event: gap), in a Last-Event-ID response header, or replay from the oldest event.")
}

// signOfLoss names an event that the client with the unknown id got and a fresh
// one did not, other than by chance.
func (o *observation) signOfLoss() string {
	unknown, fresh := o.unknown.stream, o.fresh.stream
	if o.fresh.code != http.StatusOK {
		return ""
	}
	inStream, inFresh, inUnknown := contents(o.stream.events), contents(fresh.events), contents(unknown.events)
	// An event that each client gets in a form of its own, with the time for
	// example, is no sign: a fresh client has as many of them.
	private := 0
	for _, e := range fresh.events {
		if !inStream.has(e) && !inUnknown.has(e) {
			private++
		}
	}
	if o.isFromOldest() {
		return "everything from the oldest event"
	}
	// What comes at once is no chance, even if the fresh client's stream ended at once.
	span := max(fresh.closed.Sub(fresh.opened)-subscribed, burstSilence)
	for _, e := range unknown.events {
		if e.at.Sub(unknown.opened) > span || inFresh.has(e) {
			continue
		}
		seenAt, known := o.stream.timeOf(e)
		switch {
		case !inFresh.names[e.name] && !inStream.names[e.name]:
			return "an event " + quote(e.name) + ", which a new client does not get"
		case known && seenAt.Before(unknown.asked.Add(-subscribed)):
			return "old events again, which a new client does not get"
		case !known && private == 0:
			return "an event that a new client does not get"
		case !known:
			private--
		}
	}
	return ""
}

// isFromOldest reports whether the client with the unknown id got what came before
// it, from the first event on. It does not matter that a fresh client gets this,
// too: what is still there is not lost.
func (o *observation) isFromOldest() bool {
	stream, unknown := o.stream.withID(), o.unknown.stream.withID()
	return len(stream) > 0 && len(unknown) > 0 && unknown[0].id == stream[0].id && stream[0].at.Before(o.unknown.stream.asked)
}

// content is what a set of events has.
type content struct {
	names, ids map[string]bool
	sums       map[uint64]bool
}

func contents(events []arrival) content {
	c := content{map[string]bool{}, map[string]bool{}, map[uint64]bool{}}
	for _, e := range events {
		c.names[e.name], c.sums[e.sum] = true, true
		if e.id != "" {
			c.ids[e.id] = true
		}
	}
	return c
}

// has reports whether e is one of them, by its id or by its content.
func (c content) has(e arrival) bool { return c.ids[e.id] || c.sums[e.sum] }

// timeOf returns when the same event came, by its id or by its content.
func (s *seen) timeOf(e arrival) (time.Time, bool) {
	for _, known := range s.events {
		if known.sum == e.sum || e.id != "" && known.id == e.id {
			return known.at, true
		}
	}
	return time.Time{}, false
}
