package check

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

func judgeCORS(o *observation) Result {
	if o.origin == "" {
		return skip("no --origin")
	}
	if own, err := url.Parse(o.origin); err == nil && sameOrigin(own, o.stream.url) {
		return ok("%s is the endpoint's own origin", quote(o.origin))
	}
	if o.mayComeLate(o.cors) {
		return skip("%s to a request with that Origin", o.cors.outcome())
	}
	refused := cmp.Or(o.preflightRefusal(), o.refusal(o.cors, "to a request with that Origin: "))
	if refused != "" {
		return fail(refused, "A page of that origin cannot read the stream; the browser's console names CORS.",
			"Answer with Access-Control-Allow-Origin: "+o.origin+" and Vary: Origin.")
	}
	if o.otherCORS.header.Get("Access-Control-Allow-Origin") == strangeOrigin && allowsCredentials(o.otherCORS) {
		return warn("every origin is allowed, with credentials: "+strangeOrigin+" is, too",
			"Any site that a user opens can read the stream with the user's cookies.",
			"Allow only the origins that you know, or leave Access-Control-Allow-Credentials out.")
	}
	return ok("%s may read the stream", quote(o.origin))
}

// preflightRefusal explains why a browser would not send the request.
func (o *observation) preflightRefusal() string {
	const to = "to the OPTIONS request that a browser sends first: "
	if !o.preflight.sent() {
		return ""
	}
	if refused := o.refusal(o.preflight, to); refused != "" {
		return refused
	}
	if method := o.client.method; !slices.Contains(simpleMethods, method) && !o.isListed("Methods", method) {
		return to + "Access-Control-Allow-Methods does not allow " + method
	}
	for _, name := range unsafeHeaders(o.client.header) {
		if !o.isListed("Headers", name) {
			return to + "Access-Control-Allow-Headers does not allow " + name
		}
	}
	return ""
}

// isListed reports whether the answer to OPTIONS allows the method or header.
func (o *observation) isListed(what, name string) bool {
	allowed := strings.Join(o.preflight.header.Values("Access-Control-Allow-"+what), ",")
	items := strings.FieldsFunc(allowed, func(c rune) bool { return c == ',' || c == ' ' || c == '\t' })
	return slices.ContainsFunc(items, func(item string) bool {
		isAny := item == "*" && !o.hasCookie() && name != "Authorization" // Fetch, "CORS non-wildcard request-header name"
		return isAny || item == name || what == "Headers" && strings.EqualFold(item, name)
	})
}

func (o *observation) hasCookie() bool { return o.client.header.Get("Cookie") != "" }

// refusal explains why a browser does not let the origin have the answer to a request
// (Fetch, "CORS check").
func (o *observation) refusal(h head, to string) string {
	allowed := strings.Join(h.header.Values("Access-Control-Allow-Origin"), ", ")
	switch {
	case h.err != nil || h.code < 200 || h.code > 299:
		return to + h.outcome()
	case allowed == "":
		return to + "no Access-Control-Allow-Origin"
	case allowed != "*" && allowed != o.origin:
		return to + "Access-Control-Allow-Origin is " + quote(allowed)
	case o.hasCookie() && (allowed == "*" || !allowsCredentials(h)):
		return to + "cookies need Access-Control-Allow-Credentials: true, and the origin itself instead of *"
	}
	return ""
}

func allowsCredentials(p head) bool {
	return p.header.Get("Access-Control-Allow-Credentials") == "true"
}

func judgeMethods(o *observation) Result {
	others, opensStream := "", false
	for i, method := range changing {
		if p := o.methods[i]; p.sent() {
			others += "; " + method + ": " + p.outcome()
			opensStream = opensStream || p.code == http.StatusOK
		}
	}
	toHead, toGet := o.headMethod.withType(), o.stream.withType()
	switch {
	case toHead != toGet:
		return warn("HEAD: "+toHead+"; GET: "+toGet+others, "What asks with HEAD (monitoring, caches, link checkers) takes the stream for broken.",
			"Answer HEAD with the head of GET, and nothing else.")
	case opensStream:
		return warn("HEAD answers like GET"+others, "A request that should change something opens a stream instead, or changes something.",
			"Answer 405 with Allow: GET, HEAD to other methods.")
	}
	return ok("HEAD answers like GET%s", others)
}

// withType describes the result of a request with its Content-Type.
func (h head) withType() string {
	return h.outcome() + ", Content-Type " + quote(h.contentType())
}
