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
	next, spare := 0, len(through.events)            // after the last pair
	for _, p := range pairs(direct, through, own) {
		due, e := direct.events[p.direct].at.Add(shift), through.events[p.through]
		if due.Before(e.asked) { // while the client was away
			due = e.asked
		}
		worst = max(worst, e.at.Sub(due))
		next, spare = max(next, p.direct+1), min(spare, len(through.events)-1-p.through)
	}
	return max(worst, overdue(direct, through, direct.events[next:], spare, shift))
}

// overdue returns how long ago the oldest of the events came directly, which have not
// come through; as many as spare are ignored.
func overdue(direct, through *seen, events []arrival, spare int, shift time.Duration) time.Duration {
	begin := through.latest.opened.Add(subscribed)
	if len(through.events) == 0 && len(direct.events) >= enoughEvents {
		begin = through.asked
	} else if through.hasEnded { // what is missing may come when the client returns
		return 0
	}
	oldest := firstSince(begin, events) + spare
	if oldest >= len(events) {
		return 0
	}
	end := slices.MinFunc([]time.Time{direct.end(), through.end()}, time.Time.Compare)
	return end.Sub(events[oldest].at) - shift
}

// A pair is the places of one event in the lists of two clients.
type pair struct{ direct, through int }

// pairs finds the events that both clients got, by their content or, if that finds less
// than half of them because they are all alike or have the time in them, by their order.
func pairs(direct, through *seen, own bool) (found []pair) {
	var from time.Time // of the order
	if !own {
		inThrough := distinct(through.events)
		for sum, i := range distinct(direct.events) {
			if j, came := inThrough[sum]; came {
				found = append(found, pair{i, j})
			}
		}
		if 2*len(found) >= min(len(direct.events), len(through.events)) {
			return found
		}
		from = slices.MaxFunc([]time.Time{direct.opened, through.opened}, time.Time.Compare).Add(subscribed)
	}
	found = nil
	i, j := firstSince(from, direct.events), firstSince(from.Add(-sameMoment), through.events)
	for ; i < len(direct.events) && j < len(through.events); i, j = i+1, j+1 {
		found = append(found, pair{i, j})
	}
	return found
}

func firstSince(from time.Time, events []arrival) int {
	i, _ := slices.BinarySearchFunc(events, from, func(e arrival, from time.Time) int { return e.at.Compare(from) })
	return i
}

// distinct returns the places of the events that differ from all others.
func distinct(events []arrival) map[uint64]int {
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
