package check

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/sse-demo/sse/ssetest"
)

// An endpoint is a server of one stream that does everything right, unless a test
// changes it. Its event n comes n times interval after it has begun.
type endpoint struct {
	began     time.Time
	interval  time.Duration
	events    int           // all there will be; 0 is no limit
	heartbeat time.Duration // comment after this much silence
	age       time.Duration // the stream ends at this age; 0 is never
	burst     int           // events that are written together
	delay     time.Duration // of everything that is written after the head

	before  func(w http.ResponseWriter, r *http.Request) (done bool)
	header  func(h http.Header, r *http.Request)
	retry   func(connection int) string
	frame   func(n int) string
	resume  func(lastID string, newest int) (next int, first string)
	onEnd   string // is written when the stream ends
	breaks  bool   // instead of ending
	gzip    bool   // to clients that accept it
	noFlush bool   // of the compressor

	mu          sync.Mutex
	connections int
	methods     []string
	headers     []http.Header
}

func goodEndpoint() *endpoint {
	return &endpoint{
		interval: time.Second, heartbeat: 15 * time.Second, burst: 1,
		retry:  func(connection int) string { return fmt.Sprintf("retry: %d\n", 2000+100*connection) },
		frame:  func(n int) string { return fmt.Sprintf("id: %d\ndata: {\"n\":%d}\n\n", n, n) },
		resume: resumeWithGap,
	}
}

// resumeWithGap continues after lastID, or says that events are lost.
func resumeWithGap(lastID string, newest int) (next int, first string) {
	if lastID == "" {
		return newest + 1, ""
	}
	if id, err := strconv.Atoi(lastID); err == nil && id <= newest {
		return id + 1, ""
	}
	return newest + 1, "event: gap\ndata: {}\n\n"
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	e.connections++
	connection := e.connections
	e.methods, e.headers = append(e.methods, r.Method), append(e.headers, r.Header)
	e.mu.Unlock()
	if e.before != nil && e.before(w, r) {
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	if e.header != nil {
		e.header(w.Header(), r)
	}
	if r.Method == http.MethodHead {
		return
	}
	if e.gzip && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
	}
	e.stream(r.Context(), w, r.Header.Get("Last-Event-ID"), connection)
}

func (e *endpoint) stream(ctx context.Context, w http.ResponseWriter, lastID string, connection int) {
	var out io.Writer = w
	flush := func() { _ = http.NewResponseController(w).Flush() }
	flush()
	if strings.EqualFold(w.Header().Get("Content-Encoding"), "gzip") {
		compressed := gzip.NewWriter(w)
		defer func() { _ = compressed.Close() }()
		out, flush = compressed, func() {
			if !e.noFlush {
				_ = compressed.Flush()
				_ = http.NewResponseController(w).Flush()
			}
		}
	}
	began := time.Now()
	until := func(t time.Time) bool { return pause(ctx, time.Until(t.Add(e.delay))) }
	next, first := e.resume(lastID, int(time.Since(e.began)/e.interval))
	if !until(began) {
		return
	}
	_, _ = io.WriteString(out, e.retry(connection)+first)
	flush()
	for last := began; ; {
		due := e.began.Add(time.Duration((next+e.burst-1)/e.burst*e.burst) * e.interval)
		beat := last.Add(e.heartbeat)
		ends := began.Add(e.age)
		over := e.events > 0 && next > e.events
		switch {
		case e.age > 0 && (over || ends.Before(due)) && (e.heartbeat == 0 || ends.Before(beat)):
			until(ends)
			_, _ = io.WriteString(out, e.onEnd)
			if flush(); e.breaks {
				panic(http.ErrAbortHandler)
			}
			return
		case (over || beat.Before(due)) && e.heartbeat > 0:
			if !until(beat) {
				return
			}
			_, _ = io.WriteString(out, ": heartbeat\n")
			last = beat
		case over:
			<-ctx.Done()
			return
		default:
			if !until(due) {
				return
			}
			_, _ = io.WriteString(out, e.frame(next))
			next++
			last = time.Now()
		}
		flush()
	}
}

// try checks http://demo.example/events, served by handler, while time runs as fast
// as the computer can.
func try(t *testing.T, handler http.Handler, o Options) (report Report, took time.Duration) {
	t.Helper()
	report, took, err := tryIfItCan(t, handler, o)
	if err != nil {
		t.Fatal(err)
	}
	return report, took
}

// tryIfItCan is try; the error is that of an endpoint that cannot be tried.
func tryIfItCan(t *testing.T, handler http.Handler, o Options) (report Report, took time.Duration, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		for _, e := range endpoints(handler) {
			e.began = time.Now().Add(-20*e.interval - 300*time.Millisecond)
		}
		network := ssetest.NewNetwork()
		server := &http.Server{Handler: handler}
		var serving sync.WaitGroup
		serving.Go(func() { _ = server.Serve(network) })
		o.dial = network.Dial
		if o.URL == "" {
			o.URL = "http://demo.example/events"
		}
		if o.For == 0 {
			o.For = 20 * time.Second
		}
		s, parseErr := newObservation(o)
		if parseErr != nil {
			t.Fatal(parseErr)
		}
		began := time.Now()
		err = s.observe(t.Context(), io.Discard)
		took = time.Since(began)
		report = s.judge()
		_ = server.Close()
		serving.Wait()
	})
	return report, took, err
}

// byHost serves each host by a handler of its own.
type byHost map[string]*endpoint

func (b byHost) ServeHTTP(w http.ResponseWriter, r *http.Request) { b[r.Host].ServeHTTP(w, r) }

func endpoints(handler http.Handler) []*endpoint {
	switch h := handler.(type) {
	case *endpoint:
		return []*endpoint{h}
	case byHost:
		var all []*endpoint
		for _, e := range h {
			all = append(all, e)
		}
		return all
	}
	return nil
}

func mustParse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := parseURL(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
