package check

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// endings are what a server does that answers each request with the next events, and
// then ends the stream. Event n happens n intervals after the first request.
type endings struct {
	interval time.Duration
	each     int // events of one answer
	retry    int // ms, and a little more at each connection
	ids      bool
	forgets  bool // ignores Last-Event-ID
	headLate bool // sends the head with the first event
}

func (e endings) server() http.Handler {
	var first, connections atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		first.CompareAndSwap(0, time.Now().Add(-30*e.interval).UnixNano())
		began := time.Unix(0, first.Load())
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-cache")
		if r.Method == http.MethodHead {
			return
		}
		if !e.headLate {
			_ = http.NewResponseController(w).Flush()
		}
		newest := int(time.Since(began) / e.interval)
		next, gap := newest+1, ""
		if last := r.Header.Get("Last-Event-ID"); last != "" && !e.forgets {
			id, err := strconv.Atoi(last)
			next = id + 1
			if err != nil {
				next, gap = newest+1, "event: gap\ndata: {}\n\n"
			}
		}
		text := fmt.Sprintf("retry: %d\n%s", e.retry+int(connections.Add(1)), gap)
		for range e.each {
			if !pause(r.Context(), time.Until(began.Add(time.Duration(next)*e.interval))) {
				return
			}
			if e.ids {
				text += fmt.Sprintf("id: %d\n", next)
			}
			_, _ = fmt.Fprintf(w, "%sdata: event %d\n\n", text, next)
			_ = http.NewResponseController(w).Flush()
			next, text = next+1, ""
		}
	})
}

// TestEndsAfterEvents: a server that ends the stream after some events is correct if
// it goes on after the last id, however far its clients are behind.
func TestEndsAfterEvents(t *testing.T) {
	for _, tt := range []struct {
		name   string
		server endings
		want   string
	}{
		{"one event", endings{each: 1, retry: 2000, ids: true}, ""},
		{"one event, and clients fall behind", endings{each: 1, retry: 2000, ids: true, interval: 200 * time.Millisecond}, ""},
		{"one event, and clients return at once", endings{each: 1, retry: 500, ids: true}, ""},
		{"one event, the head with it", endings{each: 1, retry: 1000, ids: true, headLate: true}, ""},
		{"two events", endings{each: 2, retry: 1000, ids: true}, ""},
		{"three events", endings{each: 3, retry: 3000, ids: true}, ""},
		{"ten events", endings{each: 10, retry: 1000, ids: true}, ""},
		{"no ids", endings{each: 1, retry: 1000}, "ids=warn resume=skip unknown-id=ok"},
		{"one event, none of the past", endings{each: 1, retry: 2000, ids: true, forgets: true}, "resume=fail unknown-id=warn"},
		{"three events, none of the past", endings{each: 3, retry: 3000, ids: true, forgets: true}, "resume=fail unknown-id=warn"},
	} {
		for _, against := range []*string{nil, new("http://direct.example/events")} {
			t.Run(fmt.Sprint(tt.name, " ", against != nil), func(t *testing.T) {
				server := tt.server
				if server.interval == 0 {
					server.interval = time.Second
				}
				report, _ := try(t, server.server(), Options{Compare: against, For: 25 * time.Second})
				compare(t, report, tt.want)
			})
		}
	}
}

// TestEndsAfterEachEvent is the same over a real connection, where a request and the
// event before it are never at one moment.
func TestEndsAfterEachEvent(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(endings{interval: 50 * time.Millisecond, each: 1, retry: 100, ids: true}.server())
	t.Cleanup(server.Close)
	expect(t, server.URL, "2s", "resume=ok")
}

// TestEndsAtOnce: a stream that ends before anything came is not held back.
func TestEndsAtOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		text       string
		want, says string // of the check first-byte, or else delivery
	}{
		"without a byte": {"", "first-byte=warn format=skip retry=warn unknown-id=warn", "the stream ended 7 times in 18 s, without a byte"},
		"after a retry":  {"retry: 3000\n", "retry=warn unknown-id=warn", "0 events seen, too few to judge; the stream ended 7 times"},
		"after comments": {": hello\n\n: bye\n", "retry=warn unknown-id=warn", "the stream ended 7 times"},
	} {
		t.Run(name, func(t *testing.T) {
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				w.Header().Set("Cache-Control", "no-cache")
				if r.Method == http.MethodGet {
					_, _ = w.Write([]byte(tt.text))
				}
			})
			report, _ := try(t, handler, Options{})
			compare(t, report, tt.want+" delivery=skip ids=skip resume=skip")
			text := fmt.Sprint(report.Results[2], report.Results[3])
			if !strings.Contains(text, tt.says) || strings.Contains(text, "proxy") {
				t.Error(text)
			}
		})
	}
}

// TestBreaksAtOnce: a stream that breaks off before anything came does not end.
func TestBreaksAtOnce(t *testing.T) {
	report, _ := try(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-cache")
		if r.Method == http.MethodGet {
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	}), Options{})
	compare(t, report, "first-byte=warn delivery=skip format=skip retry=warn ids=skip resume=skip unknown-id=warn")
	if seen := report.Results[2].Seen; seen != "the connection broke off 7 times in 18 s, without a byte" {
		t.Error(seen)
	}
}

// TestFirstByteAfterReturn: the time of the first byte is counted from the request
// that it answers.
func TestFirstByteAfterReturn(t *testing.T) {
	e := goodEndpoint()
	requests := atomic.Int64{}
	e.before = func(w http.ResponseWriter, r *http.Request) bool {
		if requests.Add(1) > 6 {
			return false
		}
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-cache")
		return true
	}
	report, _ := try(t, e, Options{})
	if r := report.Results[2]; r.Result != isOK {
		t.Errorf("%+v", r)
	}
}

// TestStartWhileShown is for the race detector: the line of progress reads a record
// that has not started yet.
func TestStartWhileShown(t *testing.T) {
	o, err := newObservation(Options{URL: "http://127.0.0.1:1/", For: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	var r record
	var isShowing atomic.Bool
	var showing sync.WaitGroup
	showing.Go(func() {
		for r.now().lastID != "x" {
			isShowing.Store(true)
		}
	})
	for !isShowing.Load() {
		runtime.Gosched()
	}
	_, stop := r.start(t.Context(), o.client, ask{lastID: "x"}, time.Second, false)
	stop()
	showing.Wait()
}
