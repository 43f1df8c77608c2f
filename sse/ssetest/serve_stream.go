package ssetest

import (
	"errors"
	"io"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"

	"example.com/sse-demo/sse"
)

func testHead(s *exchange) {
	s.options = sse.Options{Retry: 4 * time.Second, Heartbeat: 15 * time.Second}
	s.source.Begin = "41"
	s.source.End()
	s.open()
	for name, want := range map[string]string{
		"Content-Type": sse.MediaType, "Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no",
		"Sse-Heartbeat": "15000", "Last-Event-Id": "41",
	} {
		if got := s.header.Get(name); got != want {
			s.Errorf("%s: %q", name, got)
		}
	}
	s.ends(sse.SourceDone)
	if s.Retry() < 2*time.Second || s.Retry() > 6*time.Second {
		s.Errorf("retry %v", s.Retry())
	}
}

func testHEAD(s *exchange) {
	s.source.Add(1)
	s.source.Begin = "41"
	response, err := s.client.Do(newRequest(s.T, http.MethodHead))
	if err != nil || response.Header.Get("Last-Event-Id") != "41" {
		s.Fatal(err, response)
	}
	_ = response.Body.Close()
	s.outcome(sse.SourceDone, 0)
	if n := s.source.Calls.Load(); n > 0 {
		s.Errorf("%d calls of Next", n)
	}
}

var errDisk = errors.New("the disk is gone")

// streamTests serve a client that reads everything.
var streamTests = map[string]streamTest{
	"batches":           {func(s *exchange) { s.source.Add(100) }, 1, 101, sse.ClientGone, time.Minute},
	"endless source":    {func(s *exchange) { s.source.After = func() { s.source.Add(1) } }, 0, 1000, sse.ClientGone, 0},
	"end of the source": {func(s *exchange) { s.source.Add(2).End() }, 0, 2, sse.SourceDone, 0},
	"failure":           {func(s *exchange) { s.source.Add(1).Err = errDisk }, 0, 1, sse.SourceFailed, 0},

	"poll of nothing": {func(s *exchange) { s.options.PollUntil = time.Now().Add(-time.Hour) }, 0, 0, sse.SourceDone, 0},
	"poll in vain":    {func(s *exchange) { s.options.PollUntil = time.Now().Add(time.Minute) }, 0, 0, sse.SourceDone, time.Minute},
	"poll":            {func(s *exchange) { s.options.PollUntil = time.Now().Add(time.Hour) }, 1, 1, sse.SourceDone, time.Minute},
	"poll of what is there, in many batches, while more comes": {func(s *exchange) {
		s.options.PollUntil = time.Now()
		s.source.Lag, s.source.Batch = 100, 7
		s.source.After = func() { s.source.Add(7) }
		s.source.Add(100)
	}, 0, 105, sse.SourceDone, 0},
	"poll of a source that needs time": {func(s *exchange) {
		s.options.PollUntil = time.Now()
		s.source.Lag = 2
	}, 2, 2, sse.SourceDone, 2 * time.Minute},

	"deadline": {func(s *exchange) {
		s.options = sse.Options{Heartbeat: 15 * time.Second, Deadline: time.Now().Add(time.Minute)}
		s.source.Add(1)
	}, 0, 1, sse.DeadlineReached, time.Minute},
	"deadline that has passed": {func(s *exchange) {
		s.options.Deadline = time.Now()
		s.source.Add(2)
	}, 0, 1, sse.DeadlineReached, 0},
	"longest durations": {func(s *exchange) { // "never" may be the longest there is
		s.options = sse.Options{Retry: math.MaxInt64, Heartbeat: math.MaxInt64, WriteTimeout: math.MaxInt64, Deadline: time.Unix(1<<40, 0)}
		time.AfterFunc(time.Hour, func() { s.source.Add(1).End() })
	}, 0, 1, sse.SourceDone, time.Hour},

	"shutdown": {func(s *exchange) {
		s.options.WriteTimeout = time.Minute
		time.AfterFunc(time.Minute, s.shutDownAfter(100))
	}, 0, 100, sse.ShutdownReached, time.Minute},
	"shutdown before the stream": {func(s *exchange) {
		s.shutDownAfter(3)()
	}, 0, 3, sse.ShutdownReached, 0},
	"shutdown right after an empty batch": {func(s *exchange) {
		s.source.After = sync.OnceFunc(s.shutDownAfter(3))
	}, 0, 3, sse.ShutdownReached, 0},
}

// A streamTest is one stream from its beginning to its end.
type streamTest struct {
	begin  func(s *exchange)
	late   int // events that come one by one, a minute apart
	events int // in total
	reason sse.Reason
	after  time.Duration
}

func (e streamTest) test(s *exchange) {
	e.begin(s)
	began := time.Now()
	s.open()
	s.reads(e.events - e.late)
	for range e.late {
		<-time.After(time.Minute)
		s.source.Add(1)
		s.reads(1)
	}
	o := s.ends(e.reason)
	if took := time.Since(began); took != e.after {
		s.Errorf("after %v", took)
	}
	if e.reason == sse.SourceFailed && !errors.Is(o.Err, errDisk) || e.reason == sse.SourceDone && o.Err != nil {
		s.Error(o.Err)
	}
}

// shutDownAfter returns a function that adds events and then shuts the service down.
// They are still sent.
func (s *exchange) shutDownAfter(events int) func() {
	shutdown := make(chan struct{})
	s.options.Shutdown = shutdown
	return func() {
		s.source.Add(events)
		close(shutdown)
	}
}

// testEndlessShutdown: a source that always has more ends a while after the shutdown,
// cleanly.
func testEndlessShutdown(s *exchange) {
	shutDown := s.shutDownAfter(0)
	s.source.After = func() {
		<-time.After(time.Second)
		s.source.Add(1)
	}
	s.open()
	s.reads(3)
	shutDown()
	began := time.Now()
	if _, err := io.ReadAll(s.body); err != nil {
		s.Error(err)
	}
	if took := time.Since(began); took < 4*time.Second || took > 7*time.Second {
		s.Errorf("it goes on for %v", took)
	}
	s.outcome(sse.ShutdownReached, some)
}

// testHeartbeat: a comment after 15 s without an event, and no sooner.
func testHeartbeat(s *exchange) {
	s.options = sse.Options{Heartbeat: 15 * time.Second, WriteTimeout: 10 * time.Second}
	for _, at := range []time.Duration{40 * time.Second, 54 * time.Second, 70 * time.Second} {
		time.AfterFunc(at, func() { s.source.Add(1) })
	}
	s.open()
	s.reads(3)
	if !slices.Equal(s.Comments, []string{"heartbeat", "heartbeat", "heartbeat"}) {
		s.Errorf("%q", s.Comments)
	}
	s.ends(sse.ClientGone)
}
