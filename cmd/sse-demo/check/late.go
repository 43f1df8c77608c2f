package check

import (
	"maps"
	"slices"
	"time"
)

// subscribed after the head, a client certainly gets what is new.
const subscribed = 500 * time.Millisecond

// lateness returns by how much the latest event came later through something than
// directly, counted from when its client asked. An event that has not come is late
// until the end. If own is true each client has its own stream of the same events,
// from its request on.
func lateness(direct, through *seen, own bool) (worst time.Duration) {
	shift := max(through.asked.Sub(direct.asked), 0) // a replay comes this much later
	lastDirect, lastThrough := -1, -1
	inDirect, inThrough := pair(direct, through, own)
	for name, i := range inDirect {
		j, came := inThrough[name]
		if !came {
			continue
		}
		due, e := direct.events[i].at.Add(shift), through.events[j]
		if due.Before(e.asked) { // while the client was away
			due = e.asked
		}
		worst = max(worst, e.at.Sub(due))
		lastDirect, lastThrough = max(lastDirect, i), max(lastThrough, j)
	}
	spare := len(through.events) - 1 - lastThrough // each client may get some that others do not
	return max(worst, overdue(direct, through, direct.events[lastDirect+1:], spare, shift))
}

// overdue returns how long ago the oldest of the events came directly, which have not
// come through; as many as spare are ignored.
func overdue(direct, through *seen, events []arrival, spare int, shift time.Duration) time.Duration {
	begin, end := through.latest.opened.Add(subscribed), through.end()
	if d := direct.end(); d.Before(end) {
		end = d
	}
	switch {
	case len(through.events) == 0 && len(direct.events) >= enoughEvents:
		begin = through.asked
	case through.hasEnded: // what is missing may come when the client returns
		return 0
	}
	missing := slices.DeleteFunc(slices.Clone(events), func(e arrival) bool { return e.at.Before(begin) })
	if len(missing) <= spare {
		return 0
	}
	return end.Sub(missing[spare].at) - shift
}

// pair returns the places of the events in both, by a name that the same event has in
// both: its content or, if that names less than half of them because they are all
// alike or have the time in them, its number.
func pair(direct, through *seen, own bool) (inDirect, inThrough map[uint64]int) {
	var from time.Time // of the numbers
	if !own {
		inDirect, inThrough = byContent(direct.events), byContent(through.events)
		common := 0
		for name := range inDirect {
			if _, found := inThrough[name]; found {
				common++
			}
		}
		if 2*common >= min(len(direct.events), len(through.events)) {
			return inDirect, inThrough
		}
		from = direct.opened
		if from.Before(through.opened) {
			from = through.opened
		}
		from = from.Add(subscribed)
	}
	return byNumber(direct.events, from), byNumber(through.events, from.Add(-sameMoment))
}

// byContent names the events that differ from all others of their client.
func byContent(events []arrival) map[uint64]int {
	place := map[uint64]int{}
	for i, e := range events {
		if _, known := place[e.sum]; known {
			i = -1
		}
		place[e.sum] = i
	}
	maps.DeleteFunc(place, func(_ uint64, i int) bool { return i < 0 })
	return place
}

// byNumber names the events from a time on.
func byNumber(events []arrival, from time.Time) map[uint64]int {
	place := map[uint64]int{}
	for i, e := range events {
		if !e.at.Before(from) {
			place[uint64(len(place))] = i
		}
	}
	return place
}
