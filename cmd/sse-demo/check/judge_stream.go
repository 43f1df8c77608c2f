package check

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/sse-demo/sse"
)

const (
	shortSilence  = 5 * time.Second
	longSilence   = 30 * time.Second
	deadlySilence = 55 * time.Second
	shortRetry    = 500 * time.Millisecond
	retriesNeeded = 3 // connections that show whether the delay differs
)

func judgeHeartbeat(o *observation) Result {
	const fix = "Send a comment (a line \": heartbeat\") after every 15 s of silence, and flush it."
	silence := o.stream.silence
	seen := fmt.Sprintf("the longest silence was %s", seconds(silence))
	switch {
	case o.posts() && o.stream.hasEnded:
		return skip("the stream has ended")
	case silence > deadlySilence:
		return fail(fmt.Sprintf("the stream was silent for %s", seconds(silence)),
			"nginx, load balancers and many platforms cut a connection after 60 s of silence, and no client can tell a quiet stream from a dead one.", fix)
	case silence > longSilence:
		return warn(seen, "Some proxies and mobile networks cut a connection after 30 s of silence.", fix)
	case silence < shortSilence:
		return skip("the stream was never silent for %s", seconds(shortSilence))
	}
	return ok("%s", seen)
}

// Faults of a stream that fail and that warn.
var (
	badFaults = []sse.FaultKind{sse.NotUTF8, sse.NulID, sse.BadRetry, sse.Unfinished}
	oddFaults = []sse.FaultKind{sse.LoneCR, sse.ByteOrderMark, sse.EmptyID, sse.UnknownField, sse.NoData}
)

// fixes advises about a fault.
var fixes = map[sse.FaultKind]string{
	sse.NotUTF8:       "Encode the data as UTF-8, and do not cut it in the middle of a character.",
	sse.NulID:         "Leave NUL out of ids.",
	sse.BadRetry:      "Write retry as whole milliseconds, in ASCII digits only.",
	sse.Unfinished:    "End every event with a blank line before the stream ends; a proxy with a time limit may have cut it off.",
	sse.LoneCR:        "End lines with LF, and write data that contains CR as several data lines.",
	sse.ByteOrderMark: "Leave the byte order mark out.",
	sse.EmptyID:       "Leave the id field out if an event has no id: an empty one makes the client forget its last id.",
	sse.UnknownField:  "Begin each line with data:, event:, id:, retry: or a colon; after a line break inside the data, write data: again.",
	sse.NoData:        "Write a data line in every event, an empty one if need be, and no blank line after a retry field alone.",
}

func judgeFormat(o *observation) Result {
	s := o.stream
	if !s.hasFirst {
		return skip("nothing came")
	}
	if s.unreadable {
		return skip("the stream is compressed with %s, which is not decoded here", quote(s.encoding))
	}
	if seen, fix := faultsOf(s, badFaults); seen != "" {
		return fail(seen, "Clients lose or garble what the standard does not allow.", fix)
	}
	if s.tooLong {
		return warn(fmt.Sprintf("an event or a line is over %d MiB", maxEvent>>20),
			"A client keeps a whole event in memory until its blank line comes; the rest of this stream was not read.",
			"End each event with a blank line, and send large data as a link.")
	}
	if seen, fix := faultsOf(s, oddFaults); seen != "" {
		return warn(seen, "The standard forgives this, but not every client does.", fix)
	}
	return ok("%s, no fault", count(s.total, "event", "events"))
}

// faultsOf names the kinds of fault that were seen, and what to do.
func faultsOf(s seen, kinds []sse.FaultKind) (names, fix string) {
	var all, fixAll []string
	for _, kind := range kinds {
		text, found := s.faults[kind]
		if !found {
			continue
		}
		name := string(kind)
		if text != "" {
			name += " (" + quote(text) + ")"
		}
		all, fixAll = append(all, name), append(fixAll, fixes[kind])
	}
	return strings.Join(all, "; "), strings.Join(fixAll, " ")
}

func judgeRetry(o *observation) Result {
	const fix = "Send a retry field of some seconds first of all, a different one to each connection: base ± 50 % at random."
	own := o.stream.retries
	if len(own) == 0 {
		return warn("no retry field", "Each client uses its own delay, and some use none at all.", fix)
	}
	all := own
	for _, p := range []seen{o.fresh, o.unknown, o.gzip, o.resumed} {
		all = append(slices.Clip(all), p.retries...)
	}
	lowest := slices.Min(all)
	if lowest < shortRetry {
		return warn(fmt.Sprintf("retry is %s", seconds(lowest)), "When the server is away for a moment, all clients call on it many times a second.", fix)
	}
	if lowest == slices.Max(all) && len(all) >= retriesNeeded {
		return warn(fmt.Sprintf("retry is the same on %d connections, %s", len(all), seconds(lowest)),
			"After a restart of the server all clients return in the same moment.", fix)
	}
	return ok("retry is %s here", seconds(own[0]))
}

func judgeIDs(o *observation) Result {
	s := o.stream
	if s.total < 2 {
		return skip("%s seen", count(s.total, "event", "events"))
	}
	if s.ids == 0 {
		return warn(fmt.Sprintf("none of %d events has an id", s.total),
			"A client that was away cannot ask for what it missed, so it is lost.",
			"Give each event an id, and continue after the Last-Event-ID of a client that returns.")
	}
	if e, found := repeatedID(s); found {
		return fail(fmt.Sprintf("the id %s came with more than one event", quote(e.id)),
			"A client that returns with it goes on at the wrong event, and loses or repeats some.",
			"Give each event its own id, one that rises over all connections and restarts.")
	}
	if s.badID != "" {
		return warn("the id "+s.badID+" cannot be sent back",
			"A client cannot put a control character, or more than 4,096 bytes, into the header Last-Event-ID: it resumes at an older event, or not at all.",
			"Use short ids of printable characters, like numbers.")
	}
	if s.ids < s.total {
		return ok("%d of %d events have an id", s.ids, s.total)
	}
	return ok("%d events, each with its own id", s.total)
}

// repeatedID returns an event whose id another event has, too. The same event may
// come again on another connection.
func repeatedID(s seen) (arrival, bool) {
	known := map[string]arrival{}
	for _, e := range s.withID() {
		if other, found := known[e.id]; found && (other.sum != e.sum || other.asked.Equal(e.asked)) {
			return e, true
		}
		known[e.id] = e
	}
	return arrival{}, false
}
