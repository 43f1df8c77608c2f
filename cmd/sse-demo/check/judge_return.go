package check

import (
	"fmt"
	"net/http"
	"slices"
)

func judgeResume(o *observation) Result {
	s, r := &o.stream.seen, &o.resumed.seen
	refused := ""
	if s.refused != "" {
		refused = "; when the stream had ended and the client came back, it got " + s.refused
	}
	switch {
	case s.total < enoughEvents:
		return skip("%s seen, too few to judge%s", count(s.total, "event", "events"), refused)
	case s.ids == 0:
		return skip("the events have no ids%s", refused)
	case repeatedID(s) != "":
		return skip("the ids are not unique%s", refused)
	case !r.sent() && s.refused == "":
		return skip("too few events have an id that can be sent back")
	}
	const means = "A client whose connection breaks, as mobile ones do all the time, misses events, or gets them twice."
	const fix = "Keep the last events, and send a client that comes with Last-Event-ID everything after that id, in order, then what is new."
	came := fmt.Sprintf("coming back after id %s ", quote(o.lastID))
	switch instead := r.insteadOf(o.stream.head); {
	case s.refused != "":
		return fail(fmt.Sprintf("coming back after id %s, when the stream had ended, got no stream: %s", quote(s.lastID), s.refused), means, fix)
	case instead != "":
		return fail(came+"got no stream: "+instead, means, fix)
	}
	if problem := o.resumeFault(); problem != "" {
		return fail(came+problem, means, fix)
	}
	return ok("%sgave what follows it, once and in order", came)
}

// resumeFault compares what the returning client got with what the one got that
// stayed, and describes the first difference.
func (o *observation) resumeFault() string {
	var stayed []arrival // without those that the client that stayed got twice
	known := map[string]bool{}
	for _, e := range o.stream.withID() {
		if !known[e.id] {
			stayed = append(stayed, e)
		}
		known[e.id] = true
	}
	want := stayed[placeOf(o.lastID, stayed)+1:]
	got := slices.DeleteFunc(o.resumed.withID(), func(e arrival) bool { return !known[e.id] })
	for i, e := range got {
		switch {
		case placeOf(e.id, want[i:]) < 0:
			return fmt.Sprintf("repeated the event with id %s", quote(e.id))
		case e.id == want[i].id:
		case placeOf(want[i].id, got) > 0:
			return fmt.Sprintf("gave the event with id %s out of order", quote(e.id))
		default:
			return fmt.Sprintf("lost the event with id %s", quote(want[i].id))
		}
	}
	if len(got) < len(want) && o.isOverdue(want[len(got)], len(got) > 0) {
		return fmt.Sprintf("lost the event with id %s", quote(want[len(got)].id))
	}
	return ""
}

func placeOf(id string, events []arrival) int {
	return slices.IndexFunc(events, func(e arrival) bool { return e.id == id })
}

// isOverdue reports whether the returning client should have got e, which is next. If
// the stream has ended, it comes at the next return, unless the client got nothing.
func (o *observation) isOverdue(e arrival, gotSome bool) bool {
	r := &o.resumed.seen
	missed := e.at.Before(r.latest.asked) // while the client was away
	if r.hasEnded {
		return missed && !gotSome
	}
	patience, hold := minPatience, max(2*maxLate, 2*o.stream.silence)
	if bursts, _ := burstsOf(o.stream.events); bursts > 0 { // something on the way may hold back what was missed, too
		patience = max(patience, hold)
	}
	return missed && r.closed.Sub(r.latest.opened) >= patience || e.at.Before(r.end().Add(-hold))
}

func judgeUnknownID(o *observation) Result {
	u := &o.unknown.seen
	instead, given := u.insteadOf(o.stream.head), u.header.Get("Last-Event-ID")
	switch {
	case o.mayComeLate(u.head):
		return warn("a client that comes with an unknown Last-Event-ID gets "+u.outcome(),
			"It cannot know in that time that it has missed something.", "Send the head at once, and then an event (like event: gap) that says so.")
	case u.code == http.StatusNoContent:
		return ok("204 to a client that comes with an unknown Last-Event-ID: it stops")
	case instead != "" && instead == o.fresh.insteadOf(o.stream.head):
		return fail("any other client gets "+instead+" meanwhile, with a Last-Event-ID or without", "One more tab or user gets no stream, and EventSource gives up for good.",
			"Allow more streams at once. This check opens five, and a few requests beside them.")
	case instead != "":
		return fail("a client that comes with an unknown Last-Event-ID gets "+instead,
			"After a restart that forgets ids no client gets a stream again: EventSource gives up for good at any other answer.",
			"Answer with the stream whatever the id is, and say in an event that some may be lost.")
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
	stream, unknown, fresh := &o.stream.seen, &o.unknown.seen, &o.fresh.seen
	if fresh.insteadOf(o.stream.head) != "" {
		return ""
	}
	// A fresh client may get the oldest event, too: what is still there is not lost.
	from, all := unknown.withID(), stream.withID()
	if len(from) > 0 && len(all) > 0 && from[0].id == all[0].id && all[0].at.Before(unknown.asked) {
		return "everything from the oldest event"
	}
	names := map[string]bool{}
	for _, e := range slices.Concat(stream.events, fresh.events) {
		names[e.name] = true
	}
	// An event that each client gets in its own form, with the time for example, is
	// no sign: a fresh client has as many of them.
	private := 0
	for _, e := range fresh.events {
		if stream.find(e) < 0 && unknown.find(e) < 0 {
			private++
		}
	}
	// An event that comes when the fresh client has left may be a new one, unless it
	// comes at once.
	span := max(fresh.closed.Sub(fresh.opened)-subscribed, shortPause)
	for _, e := range unknown.events {
		isLate := e.at.Sub(unknown.opened) > span && (names[e.name] || !fresh.hasEnded)
		place := stream.find(e)
		switch {
		case isLate || fresh.find(e) >= 0:
		case !names[e.name]:
			return "an event " + quote(e.name) + ", which a new client does not get"
		case place >= 0 && !stream.events[place].at.Before(unknown.asked.Add(-subscribed)): // it is new
		case place >= 0 || private == 0:
			return "an event that a new client does not get"
		default:
			private--
		}
	}
	return ""
}

// find returns the place of the same event, by its id or by its content, or -1.
func (s *seen) find(e arrival) int {
	return slices.IndexFunc(s.events, func(other arrival) bool {
		return other.sum == e.sum || e.id != "" && other.id == e.id
	})
}
