package check

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

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
	seen := "the longest silence was " + seconds(silence)
	switch {
	case o.posts() && o.stream.hasEnded:
		return skip("the stream has ended")
	case silence > deadlySilence:
		return fail(seen, "nginx, load balancers and many platforms cut a connection after 60 s of silence, and no client can tell a quiet stream from a dead one.", fix)
	case silence > longSilence:
		return warn(seen, "Some proxies and mobile networks cut a connection after 30 s of silence.", fix)
	case silence < shortSilence:
		return skip("the stream was never silent for %s", seconds(shortSilence))
	}
	return ok("%s", seen)
}

// notGzip is a fault of the body before it is read as a stream.
const notGzip sse.FaultKind = "Content-Encoding says gzip, but the body is not"

// faults are what is judged of the format, and what to do about it.
var faults = map[sse.FaultKind]struct{ result, fix string }{
	notGzip:           {isFail, "Leave Content-Encoding out, or compress."},
	sse.NotUTF8:       {isFail, "Encode the data as UTF-8, and do not cut it in the middle of a character."},
	sse.NulID:         {isFail, "Leave NUL out of ids."},
	sse.BadRetry:      {isFail, "Write retry as whole milliseconds, in ASCII digits only."},
	sse.Unfinished:    {isFail, "End every event with a blank line before the stream ends; a proxy with a time limit may have cut it off."},
	sse.LoneCR:        {isWarn, "End lines with LF, and write data that contains CR as several data lines."},
	sse.ByteOrderMark: {isWarn, "Leave the byte order mark out."},
	sse.EmptyID:       {isWarn, "Leave the id field out if an event has no id: an empty one makes the client forget its last id."},
	sse.UnknownField:  {isWarn, "Begin each line with data:, event:, id:, retry: or a colon; after a line break inside the data, write data: again."},
	sse.NoData:        {isWarn, "Write a data line in every event, an empty one if need be, and no blank line after a retry field alone."},
}

func judgeFormat(o *observation) Result {
	s, encoding := &o.stream.seen, o.stream.encoding()
	bad, fixBad := s.faultsOf(isFail)
	odd, fixOdd := s.faultsOf(isWarn)
	switch {
	case !s.hasFirst:
		return skip("nothing came")
	case encoding != "" && encoding != "gzip":
		return skip("the stream is compressed with %s, which is not decoded here", quote(encoding))
	case bad != "":
		return fail(bad, "Clients lose or garble what the standard does not allow.", fixBad)
	case s.tooLong:
		return warn(fmt.Sprintf("an event or a line is over %d MiB", maxEvent>>20),
			"A client keeps a whole event in memory until its blank line comes; the rest of this stream was not read.",
			"End each event with a blank line, and send large data as a link.")
	case odd != "":
		return warn(odd, "The standard forgives this, but not every client does.", fixOdd)
	}
	return ok("%s, no fault", count(s.total, "event", "events"))
}

// faultsOf describes the faults that were seen and have this result, and what to do.
func (s *seen) faultsOf(result string) (text, fix string) {
	var all, fixAll []string
	for _, f := range s.faults {
		if faults[f.Kind].result != result {
			continue
		}
		text := string(f.Kind)
		if f.Text != "" {
			text += " (" + quote(f.Text) + ")"
		}
		all, fixAll = append(all, text), append(fixAll, faults[f.Kind].fix)
	}
	return strings.Join(all, "; "), strings.Join(fixAll, " ")
}

func judgeRetry(o *observation) Result {
	const fix = "Send a retry field of some seconds first of all, a different one to each connection: base ± 50 % at random."
	own := o.stream.retries
	if len(own) == 0 {
		return warn("no retry field", "Each client uses its own delay, and some use none at all.", fix)
	}
	all := slices.Concat(own, o.fresh.retries, o.unknown.retries, o.gzip.retries, o.resumed.retries)
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
	s := &o.stream.seen
	if s.total < 2 {
		return skip("%s seen", count(s.total, "event", "events"))
	}
	if s.ids == 0 {
		return warn(fmt.Sprintf("none of %d events has an id", s.total),
			"A client that was away cannot ask for what it missed, so it is lost.",
			"Give each event an id, and continue after the Last-Event-ID of a client that returns.")
	}
	if id := repeatedID(s); id != "" {
		return fail(fmt.Sprintf("the id %s came with more than one event", quote(id)),
			"A client that returns with it goes on at the wrong event, and loses or repeats some.",
			"Give each event its own id, one that rises over all connections and restarts.")
	}
	isBad := func(e arrival) bool { return !isSendable(e.id) || strings.ContainsFunc(e.id, unicode.IsControl) }
	if bad := slices.IndexFunc(s.events, isBad); bad >= 0 {
		id := s.events[bad].id
		return warn(fmt.Sprintf("the id %s of %d bytes cannot be sent back", quote(id), len(id)),
			"A client cannot put a control character, or more than 4,096 bytes, into the header Last-Event-ID: it resumes at an older event, or not at all.",
			"Use short ids of printable characters, like numbers.")
	}
	return ok("%d of %d events have an id, each its own", s.ids, s.total)
}

// repeatedID returns the id of an event that another event has, too, or "". The same
// event may come again on another connection.
func repeatedID(s *seen) string {
	known := map[string]arrival{}
	for _, e := range s.withID() {
		if other, found := known[e.id]; found && (other.sum != e.sum || other.asked.Equal(e.asked)) {
			return e.id
		}
		known[e.id] = e
	}
	return ""
}
