package check

import (
	"errors"
	"net/http"
	"slices"
)

func judgeUnknownID(o *observation) Result {
	u := &o.unknown.seen
	given := u.header.Get("Last-Event-ID")
	switch {
	case errors.Is(u.err, errNoAnswer) && o.stream.delay() > slowHead: // perhaps the head comes with the first event
		return warn("a client that comes with an unknown Last-Event-ID gets "+u.outcome(),
			"It cannot know in that time that it has missed something.", "Send the head at once, and then an event (like event: gap) that says so.")
	case u.code == http.StatusNoContent:
		return ok("204 to a client that comes with an unknown Last-Event-ID: it stops")
	case u.code != http.StatusOK:
		return fail("a client that comes with an unknown Last-Event-ID gets "+u.outcome(),
			"After a restart that forgets ids no client gets a stream again: EventSource gives up for good at any status but 200.",
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
	stream, unknown, fresh := &o.stream.seen, &o.unknown.seen, &o.fresh.seen
	if fresh.code != http.StatusOK {
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
