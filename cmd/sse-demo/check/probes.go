package check

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// A probe is a further request and what came of it.
type probe struct {
	sent   bool
	err    error // no answer came
	status string
	code   int
	proto  string
	header http.Header
	url    *url.URL // after redirects
	delay  time.Duration
	stream seen
}

// How long a probe waits, at least and at most.
const (
	minPatience = 2 * time.Second
	maxPatience = 15 * time.Second
)

// resumeAfter events with an id, the probe for resume returns to the middle of them.
const resumeAfter = 4

// unknownID is what no endpoint has given out.
const unknownID = "sse-demo-check-unknown-id"

// strangeOrigin is no one's (RFC 6761, 6.4).
const strangeOrigin = "https://sse-demo-check.invalid"

func newProbe(a *answer, err error) probe {
	if err != nil {
		return probe{sent: true, err: err}
	}
	return probe{
		sent: true, status: status(a), code: a.StatusCode, proto: a.Proto,
		header: a.Header, url: a.Request.URL, delay: a.answered.Sub(a.asked),
	}
}

func status(a *answer) string {
	if text := http.StatusText(a.StatusCode); text != "" {
		return a.Status[:3] + " " + text
	}
	return a.Status[:3]
}

// probe starts the probes.
func (s *session) probe(ctx context.Context, all *sync.WaitGroup) {
	all.Go(func() { s.gzip = s.follow(ctx, ask{encoding: "gzip"}, true, false) })
	all.Go(func() {
		s.awaitPace(ctx)
		s.probeHeads(ctx, all)
		ready := time.Now().Add(min(s.options.For/4, 5*time.Second)) // so that there is something to replay
		s.main.await(ctx, func(m seen) bool { return m.isOver || !time.Now().Before(ready) })
		all.Go(func() { s.fresh = s.follow(ctx, ask{}, false, false) })
		all.Go(func() { s.unknown = s.follow(ctx, ask{lastID: unknownID}, false, false) })
	})
	all.Go(func() { s.probeResume(ctx) })
}

// awaitPace returns when it is known how long a probe must wait: the first byte
// has come, or has taken so long that a probe waits for as long as it ever does.
func (s *session) awaitPace(ctx context.Context) {
	s.main.await(ctx, func(m seen) bool { return m.hasFirst || m.isOver || 2*time.Since(m.asked) >= maxPatience })
}

// patience is how long a probe waits for its head, and then for events: twice the
// delay of the first byte.
func (s *session) patience() time.Duration {
	main := s.main.now()
	if !main.hasFirst {
		return maxPatience
	}
	return min(max(2*main.firstDelay, minPatience), maxPatience)
}

// follow opens a stream and reads it for as long as a probe waits; with toTheEnd
// at least until the listening has ended. If returns is true it comes back when the
// stream ends.
func (s *session) follow(ctx context.Context, a ask, toTheEnd, returns bool) probe {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	answer, err := s.client.open(ctx, a, s.patience())
	result := newProbe(answer, err)
	if err != nil {
		return result
	}
	if answer.StatusCode != http.StatusOK {
		answer.close()
		return result
	}
	r := newRecord(answer.asked, a.lastID)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer stop() // a client has given up
		s.client.listen(ctx, answer, a, returns, r)
	})
	s.awaitPace(ctx)
	if pause(ctx, s.patience()) && toTheEnd {
		s.main.await(ctx, func(m seen) bool { return m.isOver })
	}
	stop()
	reading.Wait()
	result.stream = r.now()
	return result
}

// probeResume returns to the middle of what was seen, as after a cut.
func (s *session) probeResume(ctx context.Context) {
	s.main.await(ctx, func(m seen) bool { return m.ids >= resumeAfter || m.isOver })
	main := s.main.now()
	events := slices.DeleteFunc(main.withID(), func(e arrival) bool { return !isFieldValue(e.id) })
	if len(events) < 2 {
		return
	}
	s.lastID = events[(len(events)-1)/2].id
	s.resumed = s.follow(ctx, ask{lastID: s.lastID}, true, true)
}

// changing are the methods that --all-methods tries.
var changing = []string{http.MethodPost, http.MethodPut, http.MethodDelete}

// probeHeads sends the requests whose answers matter for their heads only.
func (s *session) probeHeads(ctx context.Context, all *sync.WaitGroup) {
	patience := s.patience()
	all.Go(func() { s.headMethod = s.headOf(ctx, ask{method: http.MethodHead}, patience) })
	if s.options.Origin != "" {
		origin := func(origin string) ask { return ask{header: http.Header{"Origin": {origin}}} }
		all.Go(func() { s.cors = s.headOf(ctx, origin(string(s.options.Origin)), patience) })
		all.Go(func() { s.otherCORS = s.headOf(ctx, origin(strangeOrigin), patience) })
		all.Go(func() { s.probePreflight(ctx, patience) })
	}
	if s.options.AllMethods {
		all.Go(func() {
			for _, method := range changing {
				s.methods[method] = s.headOf(ctx, ask{method: method, to: s.head.url, noRedirect: true}, patience)
			}
		})
	}
}

func (s *session) headOf(ctx context.Context, a ask, patience time.Duration) probe {
	answer, err := s.client.open(ctx, a, patience)
	if err == nil {
		answer.close()
	}
	return newProbe(answer, err)
}

// simpleMethods need no OPTIONS request first (Fetch, "CORS-safelisted method").
var simpleMethods = []string{http.MethodGet, http.MethodHead, http.MethodPost}

// probePreflight sends the OPTIONS request that a browser sends first, if it does.
func (s *session) probePreflight(ctx context.Context, patience time.Duration) {
	s.unsafe = unsafeHeaders(s.client.header)
	if len(s.unsafe) == 0 && slices.Contains(simpleMethods, s.client.method) {
		return
	}
	header := http.Header{"Origin": {string(s.options.Origin)}, "Access-Control-Request-Method": {s.client.method}}
	if len(s.unsafe) > 0 {
		header.Set("Access-Control-Request-Headers", strings.Join(s.unsafe, ","))
	}
	s.preflight = s.headOf(ctx, ask{method: http.MethodOptions, header: header, bare: true, noRedirect: true}, patience)
}

// unsafeHeaders returns the headers of the user for which a browser asks first
// (Fetch, "CORS-unsafe request-header names"), without those that no page can set.
func unsafeHeaders(header http.Header) []string {
	var names []string
	for name := range header {
		switch name {
		case "Accept", "Accept-Language", "Content-Language", "Accept-Encoding", "Cookie", "Host", "Origin":
			continue
		case "Content-Type":
			mediaType, _, _ := strings.Cut(strings.ToLower(header.Get(name)), ";")
			if slices.Contains([]string{"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"}, strings.TrimSpace(mediaType)) {
				continue
			}
		}
		names = append(names, strings.ToLower(name))
	}
	slices.Sort(names)
	return names
}
