package check

import (
	"slices"
	"time"
)

// lateness returns by how much the latest event came later through something than
// directly, counted from when its client asked. An event that has not come is late
// until the end. If own is true each client has its own stream of the same events,
// from its request on.
func lateness(direct, through *seen, own bool) time.Duration {
	if direct.total == 0 {
		return 0
	}
	shift := max(through.asked.Sub(direct.asked), 0) // a replay comes this much later
	worst := time.Duration(0)
	last := pair{-1, -1}
	for _, p := range pairAll(direct, through, own) {
		d, t := direct.events[p.direct], through.events[p.through]
		due := d.at.Add(shift)
		if due.Before(t.asked) { // while the client was away
			due = t.asked
		}
		worst = max(worst, t.at.Sub(due))
		last = pair{max(last.direct, p.direct), max(last.through, p.through)}
	}
	return max(worst, overdue(direct, through, last, shift))
}

// overdue returns how long ago the oldest event came directly that has not come
// through; last is the last event that both clients have.
func overdue(direct, through *seen, last pair, shift time.Duration) time.Duration {
	begin, end := through.latest.opened.Add(subscribed), through.end()
	if d := direct.end(); d.Before(end) {
		end = d
	}
	switch {
	case len(through.events) == 0 && len(direct.events) >= enoughEvents:
		begin = through.asked
	case through.latest.hasEnded: // what is missing may come when the client returns
		return 0
	}
	unpaired := len(through.events) - 1 - last.through // each client may get some that others do not
	for _, e := range direct.events[last.direct+1:] {
		due := end.Sub(e.at) - shift
		if e.at.Before(begin) || due <= maxLate {
			continue
		}
		if unpaired <= 0 {
			return due
		}
		unpaired--
	}
	return 0
}

// A pair is one event as two clients got it: indexes into their events.
type pair struct{ direct, through int }

// pairAll pairs the events by their content or, if that pairs less than half of them
// because they are all the same or have the time in them, by their order.
func pairAll(direct, through *seen, own bool) []pair {
	both := time.Time{}
	if !own {
		enough := (min(len(direct.events), len(through.events)) + 1) / 2
		if pairs := pairByContent(direct.events, through.events); len(pairs) >= enough {
			return pairs
		}
		both = direct.opened.Add(max(through.opened.Sub(direct.opened), 0) + subscribed) // then both are there
	}
	after := func(t time.Time) func(arrival) bool { return func(e arrival) bool { return !e.at.Before(t) } }
	d, t := slices.IndexFunc(direct.events, after(both)), slices.IndexFunc(through.events, after(both.Add(-sameMoment)))
	var pairs []pair
	for ; d >= 0 && d < len(direct.events) && t >= 0 && t < len(through.events); d, t = d+1, t+1 {
		pairs = append(pairs, pair{d, t})
	}
	return pairs
}

// pairByContent pairs the events that differ from all others of their client.
func pairByContent(direct, through []arrival) []pair {
	index := func(events []arrival) map[uint64]int {
		at := map[uint64]int{}
		for i, e := range events {
			if _, known := at[e.sum]; known {
				i = -1
			}
			at[e.sum] = i
		}
		return at
	}
	known := index(direct)
	var pairs []pair
	for sum, i := range index(through) {
		if d, ok := known[sum]; ok && d >= 0 && i >= 0 {
			pairs = append(pairs, pair{d, i})
		}
	}
	return pairs
}

// heldBackDelay reports whether all events of each connection came at once, long
// after its request, and how long. One event alone is no sign of that.
func heldBackDelay(events []arrival) (delay time.Duration, heldBack bool) {
	if len(events) < enoughEvents {
		return 0, false
	}
	for start := 0; start < len(events); {
		end := start + 1
		for end < len(events) && events[end].asked.Equal(events[start].asked) {
			end++
		}
		first, last := events[start], events[end-1]
		if end-start < 2 || first.burst != last.burst || last.at.Sub(first.at) > burstSilence || first.at.Sub(first.asked) <= slowEvents {
			return 0, false
		}
		delay = max(delay, last.at.Sub(last.asked))
		start = end
	}
	return delay, true
}

// A clumping is how the events came: in groups, some of them several at once.
type clumping struct{ groups, clumps, largest int }

// clumpsOf counts the groups of events between silences, and how many of them came at
// once. What a client gets at once when it comes back does not count, nor what it
// gets at once when it asks, if that is more than ever comes at once later: it is a
// replay.
func clumpsOf(events []arrival) clumping {
	var c clumping
	replayed := 0 // events, if the client gets several at once when it connects
	for start := 0; start < len(events); {
		end, atOnce := start+1, true
		for end < len(events) && events[end].burst == events[start].burst {
			atOnce = atOnce && events[end].at.Sub(events[end-1].at) <= sameMoment
			end++
		}
		returned := start > 0 && !events[start].asked.Equal(events[start-1].asked)
		isClump := atOnce && end-start > 1
		switch {
		case returned:
		case isClump && events[start].burst == 1 && events[start].at.Sub(events[start].asked) <= maxLate:
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
// and then. Two large ones and nothing else are enough.
func (c clumping) again() bool {
	isLarge := c.clumps == 2 && c.groups == 2 && c.largest >= enoughEvents
	return isLarge || c.clumps >= 3 && 3*c.clumps >= 2*c.groups
}
