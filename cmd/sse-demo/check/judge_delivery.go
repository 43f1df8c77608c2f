package check

import (
	"fmt"
	"strings"
	"time"
)

func judgeDelivery(o *observation) Result {
	const fix = "Turn buffering off: X-Accel-Buffering: no in the response, proxy_buffering off in nginx, no compression of event streams; in the server, flush after each event."
	s := o.stream
	total := s.total
	if o.direct != nil {
		total = max(total, o.direct.total)
	}
	if total < enoughEvents {
		return skip("%s seen, too few to judge", count(total, "event", "events"))
	}
	if o.direct != nil {
		if late := lateness(o.direct, &s); late > maxLate {
			return fail(fmt.Sprintf("an event is %s later than without the proxy", seconds(late)),
				"Something between the two URLs holds events back.", fix)
		}
	}
	if c := clumpsOf(s.events); c.again() {
		return warn(fmt.Sprintf("events came several at once (up to %d), then silence, %d times", c.largest, c.clumps),
			"Something holds events back and passes them on in lots: a buffer in a proxy, a compressor, or a missing flush. Clients see old news.", fix)
	}
	if o.direct != nil && o.direct.total == 0 {
		return ok("%d events; without the proxy none came to compare them with", s.total)
	}
	if o.direct != nil {
		return ok("%d events, none over %s later than without the proxy", s.total, seconds(maxLate))
	}
	return ok("%d events, each as it happens", s.total)
}

func judgeCompression(o *observation) Result {
	g := o.gzip
	gzipped := g.err == nil && isGzip(g.header.Get("Content-Encoding"))
	late := time.Duration(0)
	if gzipped {
		late = lateness(&o.stream, &g.stream)
	}
	if late > maxLate {
		return fail(fmt.Sprintf("with gzip, which most clients accept, an event is %s late", seconds(late)),
			"The compressor collects events before it writes: browsers get them late, although curl gets them at once.",
			"Do not compress text/event-stream, or flush the compressor after each event; Cache-Control: no-transform forbids it to proxies.")
	}
	if o.stream.encoding != "" {
		return warn("compressed with "+quote(o.stream.encoding)+", although only identity was accepted",
			"A client that cannot decode it sees garbage.", "Compress only what Accept-Encoding allows, and event streams best not at all.")
	}
	if gzipped {
		return ok("gzip to clients that accept it, without delay")
	}
	return ok("not compressed")
}

func isGzip(encoding string) bool {
	encoding = strings.ToLower(strings.TrimSpace(encoding))
	return encoding == "gzip" || encoding == "x-gzip"
}
