package check

import (
	"fmt"
	"net/http"
	"time"
)

func judgeResume(o *observation) Result {
	s := o.stream
	_, repeated := repeatedID(s)
	switch {
	case s.total < enoughEvents:
		return skip("%s seen, too few to judge", count(s.total, "event", "events"))
	case s.ids == 0:
		return skip("the events have no ids")
	case repeated:
		return skip("the ids are not unique")
	case !o.resumed.sent:
		return skip("too few events have an id that can be sent back")
	}
	const means = "A client whose connection breaks, as mobile ones do all the time, does not see the events as they were."
	const fix = "Keep the last events, and send a client that comes with Last-Event-ID everything after that id, in order, then what is new."
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
	for i := after + 1; i < len(stayed); i++ {
		missed := stayed[i].at.Before(o.resumed.stream.asked) // while the client was away
		if !got[i] && (i < newest || missed) {
			return fmt.Sprintf("lost the event with id %s", quote(stayed[i].id))
		}
	}
	return ""
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
	_, isSame := contents(o.stream.events)
	_, isFresh := contents(fresh.events)
	own := func(e arrival) bool { return !isSame(e) }
	// Events that differ from client to client, by their time for example, say
	// nothing unless their name is new.
	private := len(fresh.events) > 0 && countIf(fresh.events, own)*2 > len(fresh.events)
	names, _ := contents(append(fresh.events, o.stream.events...))
	span := fresh.closed.Sub(fresh.opened) - subscribed
	for _, e := range unknown.events {
		if e.at.Sub(unknown.opened) > span || isFresh(e) {
			continue
		}
		seenAt, known := o.stream.timeOf(e)
		switch {
		case e.name != "" && !names[e.name]:
			return "an event " + quote(e.name) + ", which a new client does not get"
		case private:
		case !known:
			return "an event that a new client does not get"
		case seenAt.Before(unknown.asked.Add(-subscribed)):
			return "old events again, which a new client does not get"
		}
	}
	return ""
}

// contents returns the names of the events, and whether one of them is e, by its
// id or by its content.
func contents(events []arrival) (names map[string]bool, has func(e arrival) bool) {
	names, ids, sums := map[string]bool{}, map[string]bool{}, map[uint64]bool{}
	for _, e := range events {
		names[e.name], sums[e.sum] = true, true
		if e.id != "" {
			ids[e.id] = true
		}
	}
	return names, func(e arrival) bool { return ids[e.id] || sums[e.sum] }
}

func countIf(events []arrival, is func(e arrival) bool) (n int) {
	for _, e := range events {
		if is(e) {
			n++
		}
	}
	return n
}

// timeOf returns when the same event came, by its id or by its content.
func (s *seen) timeOf(e arrival) (time.Time, bool) {
	for _, known := range s.events {
		if known.sum == e.sum || e.id != "" && known.id == e.id {
			return known.at, true
		}
	}
	return time.Time{}, false
}
