package check

import (
	"errors"
	"net/http"
	"slices"
	"time"
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
	// It does not matter that a fresh client gets the oldest event, too: what is still
	// there is not lost.
	if from, all := unknown.withID(), stream.withID(); len(from) > 0 && len(all) > 0 && from[0].id == all[0].id && all[0].at.Before(unknown.asked) {
		return "everything from the oldest event"
	}
	// An event that each client gets in its own form, with the time for example, is
	// no sign: a fresh client has as many of them.
	private := 0
	for _, e := range fresh.events {
		_, inStream := stream.find(e)
		_, inUnknown := unknown.find(e)
		if !inStream && !inUnknown {
			private++
		}
	}
	// An event that comes when the fresh client has left may be a new one, unless it
	// comes at once.
	span := max(fresh.closed.Sub(fresh.opened)-subscribed, shortPause)
	for _, e := range unknown.events {
		isNewName := !stream.hasName(e.name) && !fresh.hasName(e.name)
		isLate := e.at.Sub(unknown.opened) > span && (!isNewName || !fresh.hasEnded)
		at, inStream := stream.find(e)
		_, inFresh := fresh.find(e)
		isNew := inStream && !at.Before(unknown.asked.Add(-subscribed))
		switch {
		case isLate || inFresh:
		case isNewName:
			return "an event " + quote(e.name) + ", which a new client does not get"
		case isNew:
		case inStream || private == 0:
			return "an event that a new client does not get"
		default:
			private--
		}
	}
	return ""
}

// find returns when the same event came, by its id or by its content.
func (s *seen) find(e arrival) (at time.Time, found bool) {
	for _, known := range s.events {
		if known.sum == e.sum || e.id != "" && known.id == e.id {
			return known.at, true
		}
	}
	return time.Time{}, false
}

func (s *seen) hasName(name string) bool {
	return slices.ContainsFunc(s.events, func(e arrival) bool { return e.name == name })
}
