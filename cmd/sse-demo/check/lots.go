package check

import "time"

// A group is the events of one connection that came without a silence between them.
type group struct {
	asked, first, last time.Time
	size               int
	isAtOnce           bool // each event came at the moment of the one before
	isReturn           bool // the first of a client that has come back
}

func groupsOf(events []arrival) (groups []group) {
	for i, e := range events {
		if i == 0 || e.burst != events[i-1].burst { // each connection begins one
			returned := i > 0 && !e.asked.Equal(events[i-1].asked)
			groups = append(groups, group{asked: e.asked, first: e.at, last: e.at, isAtOnce: true, isReturn: returned})
		}
		g := &groups[len(groups)-1]
		g.isAtOnce = g.isAtOnce && e.at.Sub(g.last) <= sameMoment
		g.last = e.at
		g.size++
	}
	return groups
}

// heldBackDelay reports whether all events of each connection came at once, long
// after its request, and how long. One event alone is no sign of that.
func heldBackDelay(events []arrival) (delay time.Duration, heldBack bool) {
	for i, g := range groupsOf(events) {
		isOnlyOne := i == 0 || g.isReturn
		if !isOnlyOne || g.size < 2 || g.last.Sub(g.first) > burstSilence || g.first.Sub(g.asked) <= slowEvents {
			return 0, false
		}
		delay = max(delay, g.last.Sub(g.asked))
	}
	return delay, len(events) >= enoughEvents
}

// A clumping is how the events came: in groups, some of them several at once.
type clumping struct{ groups, clumps, largest int }

// clumpsOf counts the groups, and how many of them came at once. What a client gets
// at once when it comes back does not count, nor what it gets at once when it asks,
// if that is more than ever comes at once later: it is a replay.
func clumpsOf(events []arrival) (c clumping) {
	replayed := 0
	for i, g := range groupsOf(events) {
		isClump := g.isAtOnce && g.size > 1
		switch {
		case g.isReturn:
		case isClump && i == 0 && g.first.Sub(g.asked) <= maxLate:
			replayed = g.size
		case isClump:
			c = clumping{c.groups + 1, c.clumps + 1, max(c.largest, g.size)}
		default:
			c.groups++
		}
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
