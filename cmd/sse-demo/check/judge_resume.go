package check

import (
	"fmt"
	"net/http"
	"slices"
)

func judgeResume(o *observation) Result {
	s, r := &o.stream.seen, &o.resumed.seen
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
	case !r.sent() && s.refused == "":
		return skip("too few events have an id that can be sent back")
	}
	const means = "A client whose connection breaks, as mobile ones do all the time, misses events, or gets them twice."
	const fix = "Keep the last events, and send a client that comes with Last-Event-ID everything after that id, in order, then what is new."
	came := fmt.Sprintf("coming back after id %s ", quote(o.lastID))
	switch {
	case s.refused != "":
		return fail(fmt.Sprintf("coming back after id %s, when the stream had ended, got no stream: %s", quote(s.lastID), s.refused), means, fix)
	case r.err != nil || r.code != http.StatusOK:
		return fail(came+"got no stream: "+r.outcome(), means, fix)
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

// isOverdue reports whether the returning client should have got e, which follows
// what it got. If the stream has ended, the rest comes when the client returns again,
// unless it got nothing.
func (o *observation) isOverdue(e arrival, gotSome bool) bool {
	r := &o.resumed.seen
	missed := e.at.Before(r.latest.asked) // while the client was away
	if r.hasEnded {
		return missed && !gotSome
	}
	patience, hold := minPatience, max(2*maxLate, 2*o.stream.silence)
	if clumps, _ := clumpsOf(o.stream.events); clumps > 0 { // something on the way may hold back what was missed, too
		patience = max(patience, hold)
	}
	return missed && r.closed.Sub(r.latest.opened) >= patience || e.at.Before(r.end().Add(-hold))
}
