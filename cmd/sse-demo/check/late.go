package check

import (
	"sort"
	"time"
)

// lateness returns by how much the latest event came later through something than
// directly, counted from when its client asked. An event that has not come is late
// until the end. If own is true each client has its own stream of the same events,
// from its request on.
func lateness(direct, through *seen, own bool) (worst time.Duration) {
	shift := max(through.asked.Sub(direct.asked), 0) // a replay comes this much later
	lastDirect, lastThrough := -1, -1
	for i, j := range partners(direct, through, own) {
		if j < 0 {
			continue
		}
		due, e := direct.events[i].at.Add(shift), through.events[j]
		if due.Before(e.asked) { // while the client was away
			due = e.asked
		}
		worst = max(worst, e.at.Sub(due))
		lastDirect, lastThrough = i, max(lastThrough, j)
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
	for _, e := range events {
		late := end.Sub(e.at) - shift
		if e.at.Before(begin) || late <= maxLate {
			continue
		}
		if spare--; spare < 0 {
			return late
		}
	}
	return 0
}

// partners returns for each event of direct the index of the same event in through,
// or -1. Events are the same by their content or, if that finds less than half of
// them because they are all alike or have the time in them, by their order.
func partners(direct, through *seen, own bool) []int {
	if own {
		return byOrder(direct.events, through.events, time.Time{})
	}
	same, found := byContent(direct.events, through.events)
	if 2*found >= min(len(direct.events), len(through.events)) {
		return same
	}
	both := direct.opened
	if both.Before(through.opened) {
		both = through.opened
	}
	return byOrder(direct.events, through.events, both.Add(subscribed))
}

// byContent pairs the events that differ from all others of their client.
func byContent(direct, through []arrival) (partner []int, found int) {
	inDirect, inThrough := places(direct), places(through)
	for _, e := range direct {
		j, known := inThrough[e.sum]
		if !known || inDirect[e.sum] < 0 {
			j = -1
		}
		if j >= 0 {
			found++
		}
		partner = append(partner, j)
	}
	return partner, found
}

// places returns the index of each content, or -1 if several events have it.
func places(events []arrival) map[uint64]int {
	at := map[uint64]int{}
	for i, e := range events {
		if _, known := at[e.sum]; known {
			i = -1
		}
		at[e.sum] = i
	}
	return at
}

// byOrder pairs the events from a time on.
func byOrder(direct, through []arrival, from time.Time) (partner []int) {
	since := func(events []arrival, t time.Time) int {
		return sort.Search(len(events), func(i int) bool { return !events[i].at.Before(t) })
	}
	first, ahead := since(direct, from), since(through, from.Add(-sameMoment))
	for i := range direct {
		j := i - first + ahead
		if i < first || j >= len(through) {
			j = -1
		}
		partner = append(partner, j)
	}
	return partner
}
