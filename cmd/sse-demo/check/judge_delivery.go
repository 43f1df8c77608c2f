package check

import (
	"fmt"
	"time"
)

const (
	slowFirstByte = 5 * time.Second
	slowEvents    = 2 * time.Second        // after the request; if all come at once then, they were held back
	maxLate       = time.Second            // more is a finding
	subscribed    = 500 * time.Millisecond // after the head, a client certainly gets what is new
	sameMoment    = 50 * time.Millisecond  // of two clients
	enoughEvents  = 5
)

const fixBuffering = "Turn the buffering of what is in front off: X-Accel-Buffering: no in the response, without a proxy_ignore_headers that names it, " +
	"or proxy_buffering off in nginx; no compression of event streams. In the server, flush after each event."

func judgeFirstByte(o *observation) Result {
	const means = "A proxy may hold the stream back until it has collected enough; a client cannot tell that it is connected."
	const fix = "Send a retry field or a comment right after the head, and flush it. " + fixBuffering
	s := o.stream
	switch {
	case !s.hasFirst && s.ends > 0:
		return warn(s.endings()+", without a byte", "Clients get nothing, and come back again and again.",
			"Keep the stream open until the client leaves: in Go, do not return from the handler before the request's context is done. Look into the log if the handler fails.")
	case !s.hasFirst:
		return warn(fmt.Sprintf("nothing came in %s", seconds(s.closed.Sub(s.latest.asked))), means, fix)
	case s.firstDelay > slowFirstByte:
		return warn(fmt.Sprintf("the first byte came %s after the request", seconds(s.firstDelay)), means, fix)
	}
	return ok("the first byte came %s after the request", seconds(s.firstDelay))
}

func judgeDelivery(o *observation) Result {
	s, direct := o.stream, o.direct
	if max(s.total, direct.total) < enoughEvents {
		seen := count(s.total, "event", "events") + " seen, too few to judge"
		if s.ends > 0 && s.total == 0 {
			seen += "; " + s.endings()
		}
		return skip("%s", seen)
	}
	if late := lateness(&direct, &s, o.posts()); late > maxLate {
		return fail(fmt.Sprintf("an event is %s later than without the proxy", seconds(late)),
			"Something between the two URLs holds events back.", fixBuffering)
	}
	if delay, heldBack := heldBackDelay(s.events); heldBack {
		return warn(fmt.Sprintf("all %d events came at once, %s after the request", len(s.events), seconds(delay)),
			"Something holds the stream back until it ends, or until there is enough to send: a buffer in a proxy, a compressor, or a missing flush.", fixBuffering)
	}
	if c := clumpsOf(s.events); c.again() {
		return warn(fmt.Sprintf("events came several at once (up to %d), then silence, %d times", c.largest, c.clumps),
			"Something holds events back and passes them on in lots: a buffer in a proxy, a compressor, or a missing flush. Clients see old news.", fixBuffering)
	}
	switch {
	case o.direct.sent() && direct.total == 0:
		return ok("%d events; without the proxy none came to compare them with", s.total)
	case o.direct.sent():
		return ok("%d events, none over %s later than without the proxy", s.total, seconds(maxLate))
	}
	return ok("%d events, each as it happens", s.total)
}

func judgeCompression(o *observation) Result {
	const means = "The compressor collects events before it writes: browsers get them late, although curl gets them at once."
	const fix = "Do not compress text/event-stream, or flush the compressor after each event; Cache-Control: no-transform forbids it to proxies."
	late, gzipped := o.gzipDelay()
	switch {
	case gzipped && late > maxLate:
		return fail(fmt.Sprintf("with gzip, which most clients accept, an event is %s late", seconds(late)), means, fix)
	case o.stream.encoding != "":
		return warn("compressed with "+quote(o.stream.encoding)+", although only identity was accepted",
			"A client that cannot decode it sees garbage.", "Compress only what Accept-Encoding allows, and event streams best not at all.")
	case gzipped:
		return ok("gzip to clients that accept it, without delay")
	}
	return ok("not compressed")
}

// gzipDelay reports whether a client that accepts gzip gets it, and how late events
// are then.
func (o *observation) gzipDelay() (late time.Duration, gzipped bool) {
	if o.posts() { // --header may have asked for gzip
		late, _ = heldBackDelay(o.stream.events)
		return late, isGzip(o.stream.header.Get("Content-Encoding")) && o.stream.encoding == ""
	}
	return lateness(&o.stream, &o.gzip, false), isGzip(o.gzip.header.Get("Content-Encoding"))
}
