package check

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"

	"example.com/sse-demo/sse"
)

const slowHead = time.Second

func judgeHead(o *observation) Result {
	h := o.stream.head
	switch {
	case errors.Is(h.err, errNoAnswer):
		return fail(h.outcome()+o.withoutProxy(), "A browser waits on, but is not told that it is connected; other clients, and proxies with a time limit, give up.", o.fixHead())
	case h.err != nil:
		means, fix := explainError(h.err)
		return fail(h.outcome(), means, fix)
	case h.code != http.StatusOK:
		means, fix := explainStatus(h.code, o.posts())
		return fail(h.status, means, fix)
	case h.delay() > slowHead:
		return warn(fmt.Sprintf("200 OK, but only after %s%s", seconds(h.delay()), o.withoutProxy()),
			"Each client waits so long when it connects, and again at every return.", o.fixHead())
	}
	return ok("%s after %s", h.status, seconds(h.delay()))
}

// withoutProxy describes the answer to --compare.
func (o *observation) withoutProxy() string {
	switch d := o.direct; {
	case !d.sent():
		return ""
	case d.err != nil:
		return ", nor without the proxy"
	default:
		return fmt.Sprintf("; without the proxy %s after %s", d.status, seconds(d.delay()))
	}
}

// fixHead advises about a head that comes late. With --compare it is known
// whether the server or the proxy is at fault.
func (o *observation) fixHead() string {
	const server = "Send the head at once, before the first event is there: in Go, flush after WriteHeader."
	switch {
	case !o.direct.sent():
		return server + " If the server does: " + fixBuffering + " --compare with the address of the server tells which of the two it is."
	case o.direct.err != nil || o.direct.delay() > slowHead:
		return server
	}
	return fixBuffering
}

// outcome describes the result of a request.
func (h head) outcome() string {
	switch {
	case h.err == nil:
		return h.status
	case errors.Is(h.err, errNoAnswer):
		return h.err.Error()
	case errors.Is(h.err, io.EOF):
		return "the connection was closed without an answer"
	}
	return fmt.Sprintf("%.200q", plain(h.err)) // it may have bytes of the answer
}

// explainError explains what a failed request means to a client.
func explainError(err error) (means, fix string) {
	if errors.Is(err, errRedirect) {
		return "A client follows redirects, but these lead nowhere.", "See where each Location leads, with curl -I; a proxy and the server may each send clients to the other's scheme or host."
	}
	if strings.Contains(err.Error(), "malformed") {
		return "No client understands this: it is no HTTP.", "See what listens at that address, and whether the URL should begin with https://."
	}
	return "A client sees a failed connection, and tries again and again.",
		"Look into the log of the server, or of the proxy in front of it: it ended the connection instead of answering."
}

const (
	fixLogin  = "Give the check what a client sends: --header 'Authorization: Bearer …' or --header 'Cookie: …'."
	fixServer = "Look into the log of the server, or of the proxy in front of it."
	fixBusy   = "Answer 200 with a long retry field and end the stream, so that clients come back later."
)

// statusFixes advises about a status that is not 200.
var statusFixes = map[int]string{
	http.StatusNoContent:           "Answer 200 while there may be events: 204 means that nothing will follow.",
	http.StatusUnauthorized:        fixLogin,
	http.StatusForbidden:           fixLogin,
	http.StatusNotFound:            "Check the path and the query of the URL.",
	http.StatusMethodNotAllowed:    "Serve the stream to GET, the only method of EventSource; --data checks a stream that answers a POST.",
	http.StatusTooManyRequests:     fixBusy,
	http.StatusServiceUnavailable:  fixBusy,
	http.StatusInternalServerError: fixServer,
	http.StatusBadGateway:          fixServer,
	http.StatusGatewayTimeout:      fixServer,
}

// explainStatus explains what a status that is not 200 means to a client.
func explainStatus(code int, posts bool) (means, fix string) {
	fix = cmp.Or(statusFixes[code], "Answer 200 with Content-Type: text/event-stream.")
	switch {
	case code >= 300 && code < 400:
		return "A client follows redirects, but this one leads nowhere.", "Give the redirect a Location."
	case posts && code >= 400 && code < 500 && fix != fixLogin:
		fix = "Check the URL, the body in --data, and what else the endpoint asks for: --method, or a --header like Content-Type."
	}
	if posts {
		return "The client gets this answer instead of a stream.", fix
	}
	return "EventSource gives up for good at any status but 200.", fix
}

func judgeMediaType(o *observation) Result {
	given := o.stream.header.Get("Content-Type")
	mediaType, parameters, _ := strings.Cut(strings.ToLower(given), ";")
	if strings.TrimSpace(mediaType) != sse.MediaType {
		seen := "Content-Type is " + quote(given)
		if given == "" {
			seen = "there is no Content-Type"
		}
		return fail(seen, "A client that expects an event stream gives up; EventSource for good.",
			"Answer with Content-Type: text/event-stream; if that is what the server sends, see what the proxy in front answers.")
	}
	for name, value := range parametersIn(parameters, ";") { // as browsers, it takes one that comes twice, or is empty (WHATWG MIME Sniffing, 4.4)
		if name == "charset" && value != "" && value != "utf-8" && value != "utf8" {
			return warn("Content-Type is "+quote(given), "Event streams are always UTF-8: browsers ignore the charset, other clients may believe it.",
				"Send Content-Type: text/event-stream without a charset.")
		}
	}
	control := strings.Join(o.stream.header.Values("Cache-Control"), ",")
	for name, value := range parametersIn(strings.ToLower(control), ",") {
		if slices.Contains([]string{"no-store", "no-cache", "private"}, name) || name == "max-age" && value == "0" {
			return ok("%s, %s", quote(given), quote(control))
		}
	}
	seen := "Cache-Control is " + quote(control)
	if control == "" {
		seen = "there is no Cache-Control"
	}
	return warn(seen, "A cache in between may keep the stream, and give its old events to the next client.",
		"Send Cache-Control: no-cache, or no-store.")
}

// parametersIn yields the names and values of a list like a=1; b="2"; c.
func parametersIn(list, separator string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for item := range strings.SplitSeq(list, separator) {
			name, value, _ := strings.Cut(strings.TrimSpace(item), "=")
			if !yield(name, strings.Trim(value, `"`)) {
				return
			}
		}
	}
}

func judgeHTTP2(o *observation) Result {
	const means = "A browser opens at most six connections to a host over HTTP/1.1, all tabs together: the seventh stream never opens."
	switch {
	case o.stream.url.Scheme == "http":
		return warn("plain http, over which browsers speak HTTP/1.1", means,
			"Serve HTTPS with HTTP/2, for example by a proxy in front; or share one stream between tabs.")
	case strings.HasPrefix(o.stream.proto, "HTTP/1"):
		return warn(o.stream.proto+" only", means, "Turn HTTP/2 on, in the server or in the proxy in front of it; or share one stream between tabs.")
	}
	return ok("%s", o.stream.proto)
}
