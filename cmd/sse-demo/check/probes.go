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

// unknownID is what no endpoint has given out.
const unknownID = "sse-demo-check-unknown-id"

// strangeOrigin is no one's (RFC 6761, 6.4).
const strangeOrigin = "https://sse-demo-check.invalid"

func (s *session) newProbe(a *answer, err error) probe {
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
	all.Go(func() { s.gzip = s.follow(ctx, ask{encoding: "gzip"}, true) })
	all.Go(func() {
		s.awaitPace(ctx)
		s.probeHeads(ctx, all)
		select {
		case <-s.over:
		case <-ctx.Done():
		case <-time.After(min(s.options.For/4, 5*time.Second)): // so that there is something to replay
		}
		all.Go(func() { s.fresh = s.follow(ctx, ask{}, false) })
		all.Go(func() { s.unknown = s.follow(ctx, ask{lastID: unknownID}, false) })
	})
	all.Go(func() { s.probeResume(ctx) })
}

// awaitPace returns when it is known how long a probe must wait: the first byte
// has come, or has taken so long that it is as long as a probe ever waits.
func (s *session) awaitPace(ctx context.Context) {
	limit := time.NewTimer(maxPatience/2 - time.Since(s.main.now().asked))
	defer limit.Stop()
	select {
	case <-s.main.hasByte:
	case <-s.over:
	case <-limit.C:
	case <-ctx.Done():
	}
}

// follow opens a stream and reads it for as long as a probe waits; with toTheEnd
// at least until the listening has ended.
func (s *session) follow(ctx context.Context, a ask, toTheEnd bool) probe {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	answer, err := s.client.open(ctx, a, s.headPatience())
	result := s.newProbe(answer, err)
	if err != nil {
		return result
	}
	if answer.StatusCode != http.StatusOK {
		answer.close()
		return result
	}
	var ending sync.WaitGroup
	ending.Go(func() {
		defer stop()
		s.awaitPace(ctx)
		main := s.main.now()
		if !pause(ctx, main.patience()) || !toTheEnd {
			return
		}
		select {
		case <-s.over:
		case <-ctx.Done():
		}
	})
	r := newRecord(answer.asked)
	_ = r.read(answer, a.encoding) // its end is in the record
	stop()
	ending.Wait()
	result.stream = r.now()
	return result
}

// headPatience is how long a probe waits for its head.
func (s *session) headPatience() time.Duration {
	main := s.main.now()
	return main.patience()
}

// probeResume comes back to the middle of what was seen, as after a cut.
func (s *session) probeResume(ctx context.Context) {
	select {
	case <-s.main.hasIDs:
	case <-s.over:
	case <-ctx.Done():
		return
	}
	main := s.main.now()
	events := slices.DeleteFunc(main.withID(), func(e arrival) bool { return !isFieldValue(e.id) })
	if len(events) < 2 {
		return
	}
	s.lastID = events[(len(events)-1)/2].id
	s.resumed = s.follow(ctx, ask{lastID: s.lastID}, true)
}

// probeHeads sends the requests of which only the head matters.
func (s *session) probeHeads(ctx context.Context, all *sync.WaitGroup) {
	all.Go(func() { s.headMethod = s.headOf(ctx, ask{method: http.MethodHead}) })
	if s.options.Origin != "" {
		origin := http.Header{"Origin": {string(s.options.Origin)}}
		all.Go(func() { s.cors = s.headOf(ctx, ask{header: origin}) })
		all.Go(func() { s.otherCORS = s.headOf(ctx, ask{header: http.Header{"Origin": {strangeOrigin}}}) })
		s.unsafe = s.needPreflight()
		if len(s.unsafe) > 0 {
			asked := origin.Clone()
			asked.Set("Access-Control-Request-Method", http.MethodGet)
			asked.Set("Access-Control-Request-Headers", strings.Join(s.unsafe, ","))
			preflight := ask{method: http.MethodOptions, header: asked, bare: true, noRedirect: true}
			all.Go(func() { s.preflight = s.headOf(ctx, preflight) })
		}
	}
	if s.options.AllMethods {
		all.Go(func() {
			for _, method := range changing {
				s.methods[method] = s.headOf(ctx, ask{method: method, to: s.head.url, noRedirect: true})
			}
		})
	}
}

// changing are the methods that --all-methods tries.
var changing = []string{http.MethodPost, http.MethodPut, http.MethodDelete}

func (s *session) headOf(ctx context.Context, a ask) probe {
	answer, err := s.client.open(ctx, a, s.headPatience())
	if err == nil {
		answer.close()
	}
	return s.newProbe(answer, err)
}

// needPreflight returns the headers of the user for which a browser asks first
// (Fetch, "CORS-unsafe request-header names"), but those that no page can set.
func (s *session) needPreflight() []string {
	var names []string
	for name := range s.client.header {
		switch name {
		case "Accept", "Accept-Language", "Content-Language", "Cookie", "Host", "Origin":
		default:
			names = append(names, strings.ToLower(name))
		}
	}
	slices.Sort(names)
	return names
}
