package check

import "time"

const (
	maxLate      = time.Second            // more is a finding
	subscribed   = 500 * time.Millisecond // after the head, a client certainly gets what is new
	sameMoment   = 50 * time.Millisecond  // of two clients
	enoughEvents = 5
)

// A pair is one event as two clients got it: indexes into their events.
type pair struct{ direct, through int }

// lateness returns by how much the latest event was later through something than
// directly. Events that have not come at all count as late since then.
func lateness(direct, through *seen) time.Duration {
	if direct.total == 0 {
		return 0
	}
	shift := max(through.asked.Sub(direct.asked), 0) // a replay comes this much later
	pairs := pairAll(direct, through)
	worst := time.Duration(0)
	last := pair{-1, -1}
	for _, p := range pairs {
		worst = max(worst, through.events[p.through].at.Sub(direct.events[p.direct].at)-shift)
		last = pair{max(last.direct, p.direct), max(last.through, p.through)}
	}
	return max(worst, heldBack(direct, through, last, shift))
}

// heldBack returns since when the oldest of the events is due that came directly
// and not through; last are the last events that both have got.
func heldBack(direct, through *seen, last pair, shift time.Duration) time.Duration {
	begin, end := through.opened.Add(subscribed), through.end()
	if d := direct.end(); d.Before(end) {
		end = d
	}
	if len(through.events) == 0 && len(direct.events) >= enoughEvents {
		begin = through.asked
	}
	unpaired := len(through.events) - 1 - last.through // each client may get some of its own
	for _, e := range direct.events[last.direct+1:] {
		due := end.Sub(e.at) - shift
		if e.at.Before(begin) || due <= maxLate {
			continue
		}
		if unpaired > 0 {
			unpaired--
			continue
		}
		return due
	}
	return 0
}

// end is when the events in s end.
func (s *seen) end() time.Time {
	if len(s.events) < s.total {
		return s.events[len(s.events)-1].at
	}
	return s.closed
}

// An identity is what an event is known by: its id, its content, or both.
type identity struct {
	id  string
	sum uint64
}

// pairAll pairs by the first of these that pairs at least half of the events: id
// and content, content (if each client's ids are its own), id (if the content has
// the time, for example), order.
func pairAll(direct, through *seen) []pair {
	enough := (min(len(direct.events), len(through.events)) + 1) / 2
	for _, identify := range []func(e arrival) identity{
		func(e arrival) identity { return identity{e.id, e.sum} },
		func(e arrival) identity { return identity{sum: e.sum} },
		func(e arrival) identity { return identity{id: e.id} },
	} {
		if pairs := pairBy(identify, direct.events, through.events); len(pairs) >= enough {
			return pairs
		}
	}
	return pairByOrder(direct, through)
}

// pairBy pairs the events that differ from all others of their client.
func pairBy(identify func(e arrival) identity, direct, through []arrival) []pair {
	index := func(events []arrival) map[identity]int {
		at := map[identity]int{}
		for i, e := range events {
			key := identify(e)
			if _, known := at[key]; known {
				i = -1
			}
			at[key] = i
		}
		return at
	}
	known := index(direct)
	var pairs []pair
	for key, i := range index(through) {
		if d, ok := known[key]; ok && d >= 0 && i >= 0 {
			pairs = append(pairs, pair{d, i})
		}
	}
	return pairs
}

// pairByOrder pairs the events that have come since both clients were there.
func pairByOrder(direct, through *seen) []pair {
	both := direct.opened
	if both.Before(through.opened) {
		both = through.opened
	}
	both = both.Add(subscribed)
	first := func(events []arrival, from time.Time) int {
		for i, e := range events {
			if !e.at.Before(from) {
				return i
			}
		}
		return len(events)
	}
	d, t := first(direct.events, both), first(through.events, both.Add(-sameMoment))
	var pairs []pair
	for d < len(direct.events) && t < len(through.events) {
		pairs = append(pairs, pair{d, t})
		d, t = d+1, t+1
	}
	return pairs
}

// A clumping is how the events came: in groups, some of them several at once.
type clumping struct{ groups, clumps, largest int }

// clumpsOf counts the groups of events between silences, and those of several at
// once. What a client gets at once when it comes back does not count, nor what it
// gets at once when it connects, if that is more than ever comes at once later: it
// is a replay.
func clumpsOf(events []arrival) clumping {
	var c clumping
	replayed := 0 // events, if the client gets several at once when it connects
	for start := 0; start < len(events); {
		end, atOnce := start+1, true
		for end < len(events) && events[end].burst == events[start].burst {
			atOnce = atOnce && events[end].at.Sub(events[end-1].at) <= sameMoment
			end++
		}
		returned := start > 0 && events[start].connection != events[start-1].connection
		isClump := atOnce && end-start > 1
		switch {
		case returned:
		case isClump && events[start].burst == 1:
			replayed = end - start
		case isClump:
			c.groups, c.clumps = c.groups+1, c.clumps+1
			c.largest = max(c.largest, end-start)
		default:
			c.groups++
		}
		start = end
	}
	if replayed > 0 && replayed <= c.largest {
		c.groups, c.clumps = c.groups+1, c.clumps+1
	}
	return c
}

// again reports whether events come in clumps again and again, rather than now
// and then.
func (c clumping) again() bool { return c.clumps >= 3 && 3*c.clumps >= 2*c.groups }
