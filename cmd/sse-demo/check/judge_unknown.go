package check

import (
	"errors"
	"net/http"
	"slices"
)

func judgeUnknownID(o *observation) Result {
	u := o.unknown
	given := u.header.Get("Last-Event-ID")
	switch {
	case errors.Is(u.err, errNoAnswer) && o.stream.delay() > slowHead: // perhaps the head comes with the first event
		return warn("a client that comes with an unknown Last-Event-ID gets "+u.outcome(),
			"It cannot know in that time that it has missed something.", "Send the head at once, and then an event (like event: gap) that says so.")
	case u.err != nil:
		return fail("a client that comes with an unknown Last-Event-ID gets no answer: "+u.outcome(),
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
	stream, unknown, fresh := o.stream, o.unknown, o.fresh
	if o.fresh.code != http.StatusOK {
		return ""
	}
	if o.isFromOldest() {
		return "everything from the oldest event"
	}
	// An event that each client gets in its own form, with the time for example, is
	// no sign: a fresh client has as many of them.
	private := 0
	for _, e := range fresh.events {
		if _, inStream := stream.find(e); !inStream {
			if _, inUnknown := unknown.find(e); !inUnknown {
				private++
			}
		}
	}
	// An event that comes when the fresh client has left may be a new one, unless it
	// comes at once.
	span := max(fresh.closed.Sub(fresh.opened)-subscribed, burstSilence)
	for _, e := range unknown.events {
		isNewName := !stream.hasName(e.name) && !fresh.hasName(e.name)
		isLate := e.at.Sub(unknown.opened) > span && (!isNewName || !fresh.latest.hasEnded)
		if _, inFresh := fresh.find(e); isLate || inFresh {
			continue
		}
		first, known := stream.find(e)
		switch {
		case isNewName:
			return "an event " + quote(e.name) + ", which a new client does not get"
		case known && first.at.Before(unknown.asked.Add(-subscribed)):
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
	stream, unknown := o.stream.withID(), o.unknown.withID()
	return len(stream) > 0 && len(unknown) > 0 && unknown[0].id == stream[0].id && stream[0].at.Before(o.unknown.asked)
}

// find returns the same event, by its id or by its content.
func (s *seen) find(e arrival) (arrival, bool) {
	i := slices.IndexFunc(s.events, func(known arrival) bool { return known.sum == e.sum || e.id != "" && known.id == e.id })
	if i < 0 {
		return arrival{}, false
	}
	return s.events[i], true
}

func (s *seen) hasName(name string) bool {
	return slices.ContainsFunc(s.events, func(e arrival) bool { return e.name == name })
}
