package check

import (
	"context"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	minPatience   = 2 * time.Second // of a probe, for its head and then for events
	maxPatience   = 15 * time.Second
	resumeAfter   = 4                                // events with an id: then the probe for resume returns to the middle of them
	unknownID     = "sse-demo-check-unknown-id"      // which no endpoint has given out
	strangeOrigin = "https://sse-demo-check.invalid" // is nobody's (RFC 6761, 6.4)
)

// probe starts the probes, which last until ctx ends or longer than the listening.
func (o *observation) probe(ctx, listening context.Context, all *sync.WaitGroup) {
	all.Go(func() {
		o.probeStream(ctx, listening, &o.gzip, ask{header: http.Header{"Accept-Encoding": {"gzip"}}}, true)
	})
	all.Go(func() { o.probeResume(ctx, listening) })
	all.Go(func() {
		o.awaitPace(listening)
		o.probeHeads(ctx, all)
		pause(listening, min(o.options.For/4, 5*time.Second)) // so that there is something to replay
		all.Go(func() { o.probeStream(ctx, listening, &o.fresh, ask{}, false) })
		all.Go(func() { o.probeStream(ctx, listening, &o.unknown, ask{lastID: unknownID}, false) })
	})
}

// awaitPace returns when it is known how long a probe must wait: the first byte
// has come, or has taken so long that a probe waits for as long as it ever does.
func (o *observation) awaitPace(listening context.Context) {
	o.stream.await(listening, func(s seen) bool { return s.hasFirst || 2*time.Since(s.asked) >= maxPatience })
}

// patience is how long a probe waits for its head, and then for events: twice the
// delay of the first byte.
func (o *observation) patience() time.Duration {
	s := o.stream.now()
	if !s.hasFirst {
		return maxPatience
	}
	return min(max(2*s.firstDelay, minPatience), maxPatience)
}

// probeStream opens a stream and reads it for as long as a probe waits; with toTheEnd at
// least until the listening has ended, and coming back when the stream ends.
func (o *observation) probeStream(ctx, listening context.Context, r *record, a ask, toTheEnd bool) {
	running, stop := r.start(ctx, o.client, a, o.patience(), toTheEnd)
	defer stop()
	o.awaitPace(listening)
	if pause(running, o.patience()) && toTheEnd {
		<-listening.Done()
	}
}

// probeResume returns to the middle of what was seen, as after a cut.
func (o *observation) probeResume(ctx, listening context.Context) {
	o.stream.await(listening, func(s seen) bool { return s.ids >= resumeAfter })
	s := o.stream.now()
	events := slices.DeleteFunc(s.withID(), func(e arrival) bool { return !isSendable(e.id) })
	if len(events) < 2 {
		return
	}
	o.lastID = events[(len(events)-1)/2].id
	o.probeStream(ctx, listening, &o.resumed, ask{lastID: o.lastID}, true)
}

// changing are the methods that --all-methods tries.
var changing = [...]string{http.MethodPost, http.MethodPut, http.MethodDelete}

// probeHeads sends the requests whose answers matter for their heads only.
func (o *observation) probeHeads(ctx context.Context, all *sync.WaitGroup) {
	patience := o.patience()
	asks := map[*head]ask{&o.headMethod: {method: http.MethodHead}}
	if o.origin != "" {
		asks[&o.cors] = ask{header: origin(o.origin)}
		asks[&o.otherCORS] = ask{header: origin(strangeOrigin)}
		all.Go(func() { o.probePreflight(ctx, patience) })
	}
	if o.options.AllMethods {
		for i, method := range changing {
			asks[&o.methods[i]] = ask{method: method, to: o.stream.now().url}
		}
	}
	for answer, a := range asks {
		all.Go(func() { *answer = o.headOf(ctx, a, patience) })
	}
}

func origin(of string) http.Header { return http.Header{"Origin": {of}} }

func (o *observation) headOf(ctx context.Context, a ask, patience time.Duration) head {
	h, body := o.client.open(ctx, a, patience)
	if body != nil {
		_ = body.Close()
	}
	return h
}

// probePreflight sends the OPTIONS request that a browser sends first, if it does.
func (o *observation) probePreflight(ctx context.Context, patience time.Duration) {
	unsafe := unsafeHeaders(o.client.header)
	if len(unsafe) == 0 && slices.Contains(simpleMethods, o.client.method) {
		return
	}
	header := origin(o.origin)
	header.Set("Access-Control-Request-Method", o.client.method)
	if len(unsafe) > 0 {
		header.Set("Access-Control-Request-Headers", strings.ToLower(strings.Join(unsafe, ",")))
	}
	o.preflight = o.headOf(ctx, ask{method: http.MethodOptions, header: header}, patience)
}

// What needs no OPTIONS request first (Fetch, "CORS-safelisted method" and
// "CORS-safelisted request-header"), and headers that no page can set.
var (
	simpleMethods = []string{http.MethodGet, http.MethodHead, http.MethodPost}
	simpleHeaders = []string{"Accept", "Accept-Language", "Content-Language", "Accept-Encoding", "Cookie", "Host", "Origin"}
	simpleTypes   = []string{"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"}
)

// unsafeHeaders returns the headers of the user for which a browser asks first.
func unsafeHeaders(header http.Header) []string {
	mediaType, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	return slices.DeleteFunc(slices.Sorted(maps.Keys(header)), func(name string) bool {
		return slices.Contains(simpleHeaders, name) || name == "Content-Type" && slices.Contains(simpleTypes, mediaType)
	})
}
