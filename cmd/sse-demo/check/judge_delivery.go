package check

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	slowFirstByte = 5 * time.Second
	slowEvents    = 2 * time.Second        // after the request; if all come at once then, they were held back
	maxLate       = time.Second            // more is a finding
	sameMoment    = 50 * time.Millisecond  // events this close came at once
	shortPause    = 200 * time.Millisecond // between two groups of events
	forever       = time.Duration(math.MaxInt64)
	subscribed    = 500 * time.Millisecond // after the head, a client certainly gets what is new
	enoughEvents  = 5
)

const fixBuffering = "Turn the buffering of what is in front off: X-Accel-Buffering: no in the response, without a proxy_ignore_headers that names it, " +
	"or proxy_buffering off in nginx; no compression of event streams. In the server, flush after each event."

func judgeFirstByte(o *observation) Result {
	s := &o.stream.seen
	seen := fmt.Sprintf("the first byte came %s after the request", seconds(s.firstDelay))
	switch {
	case !s.hasFirst && s.ends > 0:
		return warn(s.endings()+", without a byte", "Clients get nothing, and EventSource comes back again and again.",
			"Look into the log if the handler fails. Keep a stream of news open until its client leaves: in Go, do not return from the handler before the request's context is done.")
	case !s.hasFirst:
		seen = "nothing came in " + seconds(s.closed.Sub(s.latest.asked))
	case s.firstDelay <= slowFirstByte:
		return ok("%s", seen)
	}
	return warn(seen, "A proxy may hold the stream back until it has collected enough; a client cannot tell that it is connected.",
		"Send a retry field or a comment right after the head, and flush it. "+fixBuffering)
}

func judgeDelivery(o *observation) Result {
	s, direct := &o.stream.seen, &o.direct.seen
	if max(s.total, direct.total) < enoughEvents {
		seen := count(s.total, "event", "events") + " seen, too few to judge"
		if s.breaks > 0 || s.ends > 0 && s.total == 0 {
			seen += "; " + s.endings()
		}
		return skip("%s", seen)
	}
	if late := lateness(direct, s, o.posts()); late > maxLate {
		return fail(fmt.Sprintf("an event is %s later than without the proxy", seconds(late)),
			"Something between the two URLs holds events back.", fixBuffering)
	}
	const cause = "a buffer in a proxy, a compressor, or a missing flush."
	if delay := heldBackDelay(s.events); delay > 0 {
		return warn(fmt.Sprintf("all %d events came at once, %s after the request", len(s.events), seconds(delay)),
			"Something holds the stream back until it ends, or until there is enough to send: "+cause, fixBuffering)
	}
	if bursts, largest := burstsOf(s.events); bursts > 0 {
		return warn(fmt.Sprintf("events came in bursts (up to %d at once), then silence, %d times", largest, bursts),
			"Something collects events before it passes them on: "+cause+" Clients see old news.", fixBuffering)
	}
	if s.breaks > 0 {
		return warn(s.endings(),
			"EventSource comes back, but cannot tell this from a failure; the rest of an answer is lost.",
			"Look into the logs of the server and of what is in front, which may have a time limit. End each stream earlier, between two events.")
	}
	if !direct.sent() {
		return ok("%d events, each as it happens", s.total)
	}
	return ok("%d events, and %d without the proxy: none is over %s later", s.total, direct.total, seconds(maxLate))
}

func judgeCompression(o *observation) Result {
	const means = "The compressor collects events before it writes: browsers get them late, although curl gets them at once."
	const fix = "Do not compress text/event-stream, or flush the compressor after each event; Cache-Control: no-transform forbids it to proxies."
	encoding := o.stream.encoding()
	isGzip, late := o.gzip.encoding() == "gzip", lateness(&o.stream.seen, &o.gzip.seen, false)
	wasAccepted := strings.Contains(o.client.header.Get("Accept-Encoding"), encoding)
	if o.posts() {
		isGzip = encoding == "gzip" && wasAccepted
		late = heldBackDelay(o.stream.events)
	}
	instead, certain := o.gzipMisses(late)
	switch {
	case certain: // as far as one connection can show
		return warn("a second connection, which accepts gzip, got "+instead, "Every browser accepts gzip, so it gets no events, although curl does.",
			"Answer with the stream whatever Accept-Encoding is; leave it out of the compressor, in the server and in a proxy in front.")
	case isGzip && late > maxLate:
		return fail(fmt.Sprintf("with gzip, which most clients accept, an event is %s late", seconds(late)), means, fix)
	case !wasAccepted:
		return warn("compressed with "+quote(encoding)+", although only identity was accepted",
			"A client that cannot decode it sees garbage.", "Compress only what Accept-Encoding allows, and event streams best not at all.")
	case instead != "":
		return skip("a second connection, which accepts gzip, got %s", instead)
	case isGzip:
		return ok("gzip to clients that accept it, without delay")
	}
	if encoding = cmp.Or(encoding, o.gzip.encoding()); encoding != "" {
		return skip("compressed with %s, which is not decoded here", quote(encoding))
	}
	return ok("not compressed")
}

// gzipMisses describes what a client that accepts gzip got instead of the events, which
// are late for it. It is certain if another new client got the stream.
func (o *observation) gzipMisses(late time.Duration) (instead string, certain bool) {
	g := &o.gzip.seen
	if o.posts() { // there is one client only
		return "", false
	}
	instead = g.insteadOf(o.stream.head)
	switch {
	case instead != "":
		isBusy := g.code == http.StatusTooManyRequests || g.code == http.StatusServiceUnavailable
		return instead, !isBusy && !o.mayComeLate(g.head) && o.fresh.insteadOf(o.stream.head) == ""
	case o.stream.encoding() == "" && len(g.faults) > 0 && g.faults[0].Kind == notGzip:
		return "a body that is not the gzip of which Content-Encoding speaks", true
	case g.encoding() == "" && g.total == 0 && late > maxLate && o.fresh.total+o.resumed.total > 0:
		return "no event", true
	}
	return "", false
}

// split cuts the events before each new connection and after each pause over longest.
func split(events []arrival, longest time.Duration) (parts [][]arrival) {
	begin := 0
	for i, e := range events {
		next := i + 1
		if next == len(events) || !e.asked.Equal(events[next].asked) || events[next].at.Sub(e.at) > longest {
			parts, begin = append(parts, events[begin:next]), next
		}
	}
	return parts
}

// heldBackDelay returns how long after its request all events of a connection came at
// once, if that is so on each of them; else 0. A few events are no sign of that.
func heldBackDelay(events []arrival) (delay time.Duration) {
	if len(events) < enoughEvents {
		return 0
	}
	for _, connection := range split(events, forever) {
		first, last := connection[0], connection[len(connection)-1]
		if len(connection) < 2 || last.at.Sub(first.at) > shortPause || first.at.Sub(first.asked) <= slowEvents {
			return 0
		}
		delay = max(delay, last.at.Sub(last.asked))
	}
	return delay
}

// burstsOf returns how many groups came at once and how large the largest was, if
// that happens again and again; two large ones and nothing else are enough. What a
// client gets at once when it comes back does not count, nor what it gets at once
// when it asks, if that is more than ever comes at once later: it is a replay.
func burstsOf(events []arrival) (bursts, largest int) {
	groups, replayed := 0, 0
	for i, connection := range split(events, forever) {
		for j, group := range split(connection, shortPause) {
			isBurst := len(group) > 1 && len(split(group, sameMoment)) == 1
			switch {
			case i > 0 && j == 0:
			case isBurst && j == 0 && group[0].at.Sub(group[0].asked) <= maxLate:
				replayed = len(group)
			case isBurst:
				groups, bursts, largest = groups+1, bursts+1, max(largest, len(group))
			default:
				groups++
			}
		}
	}
	if replayed > 0 && replayed <= largest {
		groups, bursts = groups+1, bursts+1
	}
	areTwo := bursts == 2 && groups == 2 && largest >= enoughEvents
	if areTwo || bursts >= 3 && 3*bursts >= 2*groups {
		return bursts, largest
	}
	return 0, 0
}

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
