package check

import "time"

// subscribed after the head, a client certainly gets what is new.
const subscribed = 500 * time.Millisecond

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
	var from time.Time // of the order
	if !own {
		same, found := match(contents(direct.events), contents(through.events))
		if 2*found >= min(len(direct.events), len(through.events)) {
			return same
		}
		from = direct.opened
		if from.Before(through.opened) {
			from = through.opened
		}
		from = from.Add(subscribed)
	}
	inOrder, _ := match(numbers(direct.events, from), numbers(through.events, from.Add(-sameMoment)))
	return inOrder
}

// match returns for each name the index of the same name in through, or -1. The name
// 0 matches none.
func match(direct, through []uint64) (partner []int, found int) {
	index := map[uint64]int{}
	for j, name := range through {
		index[name] = j
	}
	for _, name := range direct {
		j, known := index[name]
		if known && name != 0 {
			found++
		} else {
			j = -1
		}
		partner = append(partner, j)
	}
	return partner, found
}

// contents names the events that differ from all others, by their sum.
func contents(events []arrival) (names []uint64) {
	times := map[uint64]int{}
	for _, e := range events {
		times[e.sum]++
	}
	for _, e := range events {
		if times[e.sum] > 1 {
			e.sum = 0
		}
		names = append(names, e.sum)
	}
	return names
}

// numbers names the events from a time on: 1, 2, 3.
func numbers(events []arrival, from time.Time) (names []uint64) {
	n := uint64(0)
	for _, e := range events {
		if !e.at.Before(from) {
			n++
		}
		names = append(names, n)
	}
	return names
}
