package ssetest

import (
	"errors"
	"io"
	"math"
	"net/http"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"example.com/sse-demo/sse"
)

func testHead(s *server) {
	s.options = sse.Options{Retry: 4 * time.Second, Heartbeat: 15 * time.Second}
	s.source.Begin = "41"
	s.source.End()
	r := s.open()
	for name, want := range map[string]string{
		"Content-Type": sse.MediaType, "Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no",
		"Sse-Heartbeat": "15000", "Last-Event-Id": "41",
	} {
		if got := r.header.Get(name); got != want {
			s.Errorf("%s: %q", name, got)
		}
	}
	r.ends(sse.SourceDone, 0)
	if r.Retry() < 2*time.Second || r.Retry() > 6*time.Second {
		s.Errorf("retry %v", r.Retry())
	}
}

func testHEAD(s *server) {
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

// testBatches has more batches than one step may take, and events that come late.
func testBatches(s *server) {
	s.source.Add(100)
	r := s.open()
	r.reads(100)
	<-time.After(time.Minute)
	s.source.Add(1)
	r.reads(1)
	r.leaves()
}

// testHeartbeat: a comment after 15 s without an event, and no sooner.
func testHeartbeat(s *server) {
	s.options = sse.Options{Heartbeat: 15 * time.Second, WriteTimeout: 10 * time.Second}
	began := time.Now()
	r := s.open()
	var adding sync.WaitGroup
	adding.Go(func() {
		for _, pause := range []time.Duration{40 * time.Second, 14 * time.Second, 16 * time.Second} {
			<-time.After(pause)
			s.source.Add(1)
		}
	})
	r.reads(3)
	adding.Wait()
	if time.Since(began) != 70*time.Second || !slices.Equal(r.Comments, []string{"heartbeat", "heartbeat", "heartbeat"}) {
		s.Errorf("%v, %q", time.Since(began), r.Comments)
	}
	r.leaves()
}

// testLongest: "never" may be the longest duration there is.
func testLongest(s *server) {
	s.options = sse.Options{Retry: math.MaxInt64, Heartbeat: math.MaxInt64, WriteTimeout: math.MaxInt64, Deadline: time.Unix(1<<40, 0)}
	r := s.open()
	<-time.After(time.Hour)
	s.source.Add(1)
	s.source.End()
	r.ends(sse.SourceDone, 1)
}

var errDisk = errors.New("the disk is gone")

// ends are the ways in which a stream ends by itself.
var ends = map[string]end{
	"end of the source": {func(s *server) { s.source.Add(2).End() }, 0, 2, sse.SourceDone, 0},
	"failure":           {func(s *server) { s.source.Add(1).Err = errDisk }, 0, 1, sse.SourceFailed, 0},

	"poll of nothing": {func(s *server) { s.options.PollUntil = time.Now().Add(-time.Hour) }, 0, 0, sse.SourceDone, 0},
	"poll in vain":    {func(s *server) { s.options.PollUntil = time.Now().Add(time.Minute) }, 0, 0, sse.SourceDone, time.Minute},
	"poll":            {func(s *server) { s.options.PollUntil = time.Now().Add(time.Hour) }, 1, 1, sse.SourceDone, time.Minute},
	"poll of what is there, in many batches, while more comes": {func(s *server) {
		s.options.PollUntil = time.Now()
		s.source.Lag, s.source.Batch = 100, 7
		s.source.After = func() { s.source.Add(7) }
		s.source.Add(100)
	}, 0, 105, sse.SourceDone, 0},
	"poll of a source that needs time": {func(s *server) {
		s.options.PollUntil = time.Now()
		s.source.Lag = 2
	}, 2, 2, sse.SourceDone, 2 * time.Minute},

	"deadline": {func(s *server) {
		s.options = sse.Options{Heartbeat: 15 * time.Second, Deadline: time.Now().Add(time.Minute)}
		s.source.Add(1)
	}, 0, 1, sse.DeadlineReached, time.Minute},
	"deadline that has passed": {func(s *server) {
		s.options.Deadline = time.Now()
		s.source.Add(2)
	}, 0, 1, sse.DeadlineReached, 0},

	"shutdown before the stream": {func(s *server) {
		s.source.Add(3)
		s.shutDown()
	}, 0, 3, sse.ShutdownReached, 0},
	"shutdown right after an empty batch": {func(s *server) { // what came before it is still sent
		shutdown := make(chan struct{})
		s.options.Shutdown = shutdown
		s.source.After = sync.OnceFunc(func() {
			s.source.Add(3)
			close(shutdown)
		})
	}, 0, 3, sse.ShutdownReached, 0},
}

// An end is the test of one of them.
type end struct {
	begin  func(s *server)
	late   int // events that come one by one, a minute apart
	events int // in total
	reason sse.Reason
	after  time.Duration
}

func (e end) test(s *server) {
	e.begin(s)
	began := time.Now()
	r := s.open()
	for range e.late {
		<-time.After(time.Minute)
		s.source.Add(1)
		r.reads(1)
	}
	o := r.ends(e.reason, e.events)
	if took := time.Since(began); took != e.after {
		s.Errorf("after %v", took)
	}
	if e.reason == sse.SourceFailed && !errors.Is(o.Err, errDisk) || e.reason != sse.SourceFailed && o.Err != nil {
		s.Error(o.Err)
	}
}

// shutDown has the service shut down from the beginning.
func (s *server) shutDown() {
	shutdown := make(chan struct{})
	close(shutdown)
	s.options.Shutdown = shutdown
}

// testShutdown ends the stream after all that came before it.
func testShutdown(s *server) {
	shutdown := make(chan struct{})
	s.options = sse.Options{Shutdown: shutdown, WriteTimeout: time.Minute}
	r := s.open()
	synctest.Wait()
	s.source.Add(100)
	close(shutdown)
	r.ends(sse.ShutdownReached, 100)
}

// testEndless: a client that leaves ends its stream, even if the source always has more.
func testEndless(s *server) {
	s.source.After = func() { s.source.Add(1) }
	s.source.Add(1)
	r := s.open()
	r.reads(1000)
	_ = r.body.Close()
	s.outcome(sse.ClientGone, some)
}

// testEndlessShutdown: so does the shutdown, cleanly, after a while.
func testEndlessShutdown(s *server) {
	shutdown := make(chan struct{})
	s.options.Shutdown = shutdown
	s.source.After = func() {
		<-time.After(time.Second)
		s.source.Add(1)
	}
	s.source.Add(1)
	r := s.open()
	r.reads(3)
	close(shutdown)
	began := time.Now()
	if _, err := io.ReadAll(r.body); err != nil {
		s.Error(err)
	}
	if took := time.Since(began); took < 4*time.Second || took > 7*time.Second {
		s.Errorf("it goes on for %v", took)
	}
	s.outcome(sse.ShutdownReached, some)
}
