package check

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/http/httpguts"

	"example.com/sse-demo/sse"
)

const slowHead = time.Second

func judgeHead(o *observation) Result {
	h := o.stream.head
	switch {
	case errors.Is(h.err, errNoAnswer):
		compared, fix := o.explainLateHead()
		return fail(h.outcome()+compared, "A browser waits on, but is not told that it is connected; other clients, and proxies with a time limit, give up.", fix)
	case errors.Is(h.err, errRedirect):
		return fail(h.outcome(), "A client follows redirects, but these lead nowhere.",
			"See where each Location leads, with curl -I; a proxy and the server may each send clients to the other's scheme or host.")
	case h.err != nil:
		return fail(h.outcome(), "A client sees a failed connection, and tries again and again.",
			"Look into the log of the server, or of the proxy in front of it. If it does not speak HTTP there, mend the URL: https:// perhaps, or another port.")
	case h.code != http.StatusOK:
		return fail(h.outcome(), "A client gets this answer instead of a stream, and EventSource gives up for good.", adviceFor(h.code, o.posts()))
	case h.delay() > slowHead:
		compared, fix := o.explainLateHead()
		return warn(fmt.Sprintf("200 OK, but only after %s%s", seconds(h.delay()), compared),
			"Each client waits so long when it connects, and again at every return.", fix)
	}
	return ok("%s after %s", h.outcome(), seconds(h.delay()))
}

// explainLateHead compares with the head that --compare got, and advises: with
// --compare it is known whether the server or the proxy is at fault.
func (o *observation) explainLateHead() (compared, fix string) {
	const server = "Send the head at once, before the first event is there: in Go, flush after WriteHeader."
	d := o.direct.head
	switch {
	case !d.sent():
		return "", server + " If the server does: " + fixBuffering + " --compare with the address of the server tells which of the two it is."
	case d.err != nil:
		return ", nor without the proxy", server
	}
	compared = fmt.Sprintf("; without the proxy %s after %s", d.outcome(), seconds(d.delay()))
	if d.delay() > slowHead {
		return compared, server
	}
	return compared, fixBuffering
}

// outcome describes the result of a request.
func (h head) outcome() string {
	switch {
	case h.err == nil:
		return strings.TrimSpace(fmt.Sprintf("%03d %s", h.code, http.StatusText(h.code)))
	case errors.Is(h.err, errNoAnswer) || errors.Is(h.err, errUnreachable):
		return h.err.Error()
	case errors.Is(h.err, io.EOF), errors.Is(h.err, syscall.ECONNRESET):
		return "the connection was closed without an answer"
	}
	return fmt.Sprintf("%.200q", h.err) // it may have bytes of the answer
}

// adviceFor returns what to do about a status that is not 200.
func adviceFor(code int, posts bool) string {
	switch {
	case !posts && (code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable):
		return "Answer 200 with a long retry field and end the stream, so that clients come back later."
	case code >= 400 && code < 500 && posts:
		return "Check the URL, and what else the endpoint asks for: another --method, other --data, or a --header such as Authorization or Content-Type."
	case code >= 400 && code < 500:
		return "Check the URL, and what else the endpoint asks for, such as --header 'Authorization: Bearer …' or --header 'Cookie: …'. " +
			"EventSource can only GET; --data checks a stream that answers a POST."
	case code >= 500:
		return "Look into the log of the server, or of the proxy in front of it."
	}
	return "Answer 200 with Content-Type: text/event-stream while there may be events; 204 means that nothing will follow."
}

func judgeMediaType(o *observation) Result {
	given := o.stream.contentType()
	mediaType, parameters := o.stream.mediaType()
	if mediaType != sse.MediaType {
		return fail("Content-Type is "+quote(given), "A client that expects an event stream gives up; EventSource for good.",
			"Answer with Content-Type: text/event-stream; if that is what the server sends, see what the proxy in front answers.")
	}
	for parameter := range strings.SplitSeq(parameters, ";") { // as browsers, it takes one that comes twice, or is empty (WHATWG MIME Sniffing, 4.4)
		charset, isCharset := strings.CutPrefix(strings.TrimSpace(parameter), "charset=")
		charset = strings.Trim(charset, `"`)
		if isCharset && charset != "" && charset != "utf-8" && charset != "utf8" {
			return warn("Content-Type is "+quote(given), "Event streams are always UTF-8: browsers ignore the charset, other clients may believe it.",
				"Send Content-Type: text/event-stream without a charset.")
		}
	}
	control := strings.Join(o.stream.header.Values("Cache-Control"), ",")
	if uncached.MatchString(control) {
		return ok("%s, %s", quote(given), quote(control))
	}
	return warn("Cache-Control is "+quote(control), "A cache in between may keep the stream, and give its old events to the next client.",
		"Send Cache-Control: no-cache, or no-store.")
}

// mediaType returns the last media type of the Content-Type headers, which browsers
// take (Fetch, "extract a MIME type"), and its parameters.
func (h head) mediaType() (mediaType, parameters string) {
	for value := range strings.SplitSeq(strings.ToLower(h.contentType()), ",") {
		essence, after, _ := strings.Cut(value, ";")
		essence = strings.TrimSpace(essence)
		kind, subtype, _ := strings.Cut(essence, "/")
		if httpguts.ValidHeaderFieldName(kind) && httpguts.ValidHeaderFieldName(subtype) && essence != "*/*" { // tokens
			mediaType, parameters = essence, after
		}
	}
	return mediaType, parameters
}

// insteadOf describes what a client got instead of the stream that the first one got:
// no answer, another status or another media type. It is empty if it got the stream.
func (h head) insteadOf(first head) string {
	got, _ := h.mediaType()
	want, _ := first.mediaType()
	switch {
	case h.code != http.StatusOK:
		return h.outcome()
	case got != want:
		return h.withType()
	}
	return ""
}

// mayComeLate reports whether a head that did not come may come with the first event.
func (o *observation) mayComeLate(h head) bool {
	return errors.Is(h.err, errNoAnswer) && o.stream.delay() > slowHead
}

// contentType returns all Content-Type headers as one.
func (h head) contentType() string { return strings.Join(h.header.Values("Content-Type"), ", ") }

// uncached matches a Cache-Control that keeps a response out of shared caches. A
// directive may have a value, like private="x".
var uncached = regexp.MustCompile(`(?i)(^|,)\s*(no-store|no-cache|private|max-age="?0"?)\s*(=|,|$)`)

func judgeHTTP2(o *observation) Result {
	seen := o.stream.proto + " only"
	if o.stream.url.Scheme == "http" {
		seen = "plain http, over which browsers speak HTTP/1.1"
	} else if !strings.HasPrefix(o.stream.proto, "HTTP/1") {
		return ok("%s", o.stream.proto)
	}
	return warn(seen, "A browser opens at most six connections to a host over HTTP/1.1, all tabs together: the seventh stream never opens.",
		"Serve HTTPS with HTTP/2, in the server or by a proxy in front; or share one stream between tabs.")
}
