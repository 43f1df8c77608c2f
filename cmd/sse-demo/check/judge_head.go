package check

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"example.com/sse-demo/sse"
)

const (
	slowHead      = time.Second
	slowFirstByte = 5 * time.Second
)

func judgeHead(o *observation) Result {
	h := o.head
	switch {
	case h.err != nil:
		return fail(answerOf(h), "A client sees a failed connection, and tries again and again.",
			"Send the head at once, before the first event is there: in Go, flush after WriteHeader.")
	case h.code != http.StatusOK:
		means, fix := explain(h)
		return fail(answerOf(h), means, fix)
	case h.delay > slowHead:
		return warn(fmt.Sprintf("200 OK, but only after %s", seconds(h.delay)),
			"Each client waits so long when it connects, and again at every return.",
			"Send the head at once, before the first event is there; a proxy that holds it back needs its buffering turned off.")
	}
	return ok("%s after %s", h.status, seconds(h.delay))
}

// answerOf says what came of a request.
func answerOf(p probe) string {
	if p.err != nil {
		text := plain(p.err).Error()
		if text == "EOF" {
			text = "the connection was closed without an answer"
		}
		if len(text) > maxReason {
			text = text[:maxReason] + " …"
		}
		return strings.ToValidUTF8(strings.Map(printable, text), "?")
	}
	return p.status
}

func printable(c rune) rune {
	if c < ' ' || 0x7f <= c && c < 0xa0 {
		return '?'
	}
	return c
}

// explain says what a status that is not 200 means to a client.
func explain(h probe) (means, fix string) {
	means = "EventSource gives up for good at any status but 200."
	switch code := h.code; {
	case code == http.StatusNoContent:
		return "204 stops EventSource for good; it means that nothing will follow.", "Answer 200 while there may be events."
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return means, "Give the check what a client sends: --header 'Authorization: Bearer …' or --header 'Cookie: …'."
	case code == http.StatusNotFound:
		return means, "Check the path and the query of the URL."
	case code == http.StatusMethodNotAllowed:
		return means, "Serve the stream to GET, the only method of EventSource."
	case code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable:
		return means, "Answer 200 with a long retry field and end the stream, so that clients come back later."
	case code >= 500:
		return means, "Look into the log of the server, or of the proxy in front of it."
	case code >= 300 && code < 400:
		return "EventSource follows redirects, but this one leads nowhere.", "Give the redirect a Location."
	}
	return means, "Answer 200 with Content-Type: text/event-stream."
}

func judgeMediaType(o *observation) Result {
	given := o.head.header.Get("Content-Type")
	mediaType, parameters, _ := strings.Cut(given, ";")
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	if mediaType != sse.MediaType {
		seen := "Content-Type is " + quote(given)
		if given == "" {
			seen = "there is no Content-Type"
		}
		return fail(seen, "EventSource gives up for good: it takes nothing but text/event-stream.",
			"Answer with Content-Type: text/event-stream; if that is what the server sends, see what the proxy in front answers.")
	}
	if hasOtherCharset(parameters) {
		return warn("Content-Type is "+quote(given), "Event streams are always UTF-8: browsers ignore the charset, other clients may believe it.",
			"Send Content-Type: text/event-stream without a charset.")
	}
	control := strings.Join(o.head.header.Values("Cache-Control"), ",")
	if isCacheable(control) {
		seen := "Cache-Control is " + quote(control)
		if control == "" {
			seen = "there is no Cache-Control"
		}
		return warn(seen, "A cache in between may keep the stream, and give its old events to the next client.",
			"Send Cache-Control: no-cache, or no-store.")
	}
	return ok("%s, %s", quote(given), quote(control))
}

// hasOtherCharset reports whether one of the parameters of a Content-Type is a
// charset that is not UTF-8. It takes what browsers take: a parameter may come
// twice, or be empty (WHATWG MIME Sniffing, 4.4).
func hasOtherCharset(parameters string) bool {
	for parameter := range strings.SplitSeq(strings.ToLower(parameters), ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
		value = strings.Trim(value, `"`)
		if name == "charset" && value != "" && value != "utf-8" && value != "utf8" {
			return true
		}
	}
	return false
}

// isCacheable reports whether a Cache-Control lets a cache answer with what it
// has kept.
func isCacheable(control string) bool {
	for directive := range strings.SplitSeq(strings.ToLower(control), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if slices.Contains([]string{"no-store", "no-cache", "private"}, name) || name == "max-age" && strings.Trim(value, `"`) == "0" {
			return false
		}
	}
	return true
}

func judgeFirstByte(o *observation) Result {
	const means = "A proxy may hold the stream back until it has collected enough; a client cannot tell that it is connected."
	const fix = "Send a retry field or a comment right after the head, and flush it. If the server does, turn the proxy's buffering off: " +
		"X-Accel-Buffering: no in the response, or proxy_buffering off in nginx."
	s := o.stream
	if s.first.IsZero() {
		return warn(fmt.Sprintf("nothing came in %s", seconds(s.closed.Sub(s.asked))), means, fix)
	}
	delay := s.first.Sub(s.asked)
	if delay > slowFirstByte {
		return warn(fmt.Sprintf("the first byte came %s after the request", seconds(delay)), means, fix)
	}
	return ok("the first byte came %s after the request", seconds(delay))
}

func judgeHTTP2(o *observation) Result {
	const means = "A browser opens at most six connections to a host over HTTP/1.1, all tabs together: the seventh stream never opens."
	switch {
	case o.head.url.Scheme == "http":
		return warn("plain http, which is "+o.head.proto+" to every browser", means,
			"Serve HTTPS with HTTP/2, for example by a proxy in front; or share one stream between tabs.")
	case strings.HasPrefix(o.head.proto, "HTTP/1"):
		return warn(o.head.proto+" only", means, "Turn HTTP/2 on, in the server or in the proxy in front of it; or share one stream between tabs.")
	}
	return ok("%s", o.head.proto)
}
