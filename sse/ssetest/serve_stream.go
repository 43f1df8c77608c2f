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
	s.reads(r, 1, 0, true)
	if r.Retry() < 2*time.Second || r.Retry() > 6*time.Second {
		s.Errorf("retry %v", r.Retry())
	}
	if o := s.outcome(sse.SourceDone, 0); o.Bytes != int64(len("retry: 1234\n")) {
		s.Errorf("%d bytes", o.Bytes)
	}
}

func testHEAD(s *server) {
	s.source.Add(1)
	s.source.Begin = "41"
	r := newRequest(s.T)
	r.Method = http.MethodHead
	response, err := s.client.Do(r)
	if err != nil || response.Header.Get("Last-Event-Id") != "41" {
		s.Fatal(err, response)
	}
	defer func() { _ = response.Body.Close() }()
	s.outcome(sse.SourceDone, 0)
	if n := s.source.Calls(); n > 0 {
		s.Errorf("%d calls of Next", n)
	}
}

// testBatches has more batches than one step may take, and events that come late.
func testBatches(s *server) {
	s.source.Add(100)
	r := s.open()
	s.reads(r, 1, 100, false)
	<-time.After(time.Minute)
	s.source.Add(1)
	s.reads(r, 101, 101, false)
	_ = r.body.Close()
	s.outcome(sse.ClientGone, 101)
}

func testEnd(s *server) {
	r := s.open()
	s.source.Add(2)
	s.source.End()
	s.reads(r, 1, 2, true)
	if o := s.outcome(sse.SourceDone, 2); o.Err != nil || o.Bytes != int64(2*len("id: 1\ndata: 1\n\n")) {
		s.Errorf("%+v", o)
	}
}

func testFailure(s *server) {
	failure := errors.New("the disk is gone")
	s.source.Add(1).Err = failure
	r := s.open()
	s.reads(r, 1, 1, true)
	if o := s.outcome(sse.SourceFailed, 1); !errors.Is(o.Err, failure) {
		s.Error(o.Err)
	}
}

// testPoll: a poll of a source that has nothing ends with the first batch.
func testPoll(s *server) {
	s.options.PollUntil = time.Now().Add(time.Hour)
	r := s.open()
	<-time.After(time.Minute)
	s.source.Add(1)
	s.reads(r, 1, 1, true)
	s.outcome(sse.SourceDone, 1)
}

// testPollBehind: a poll is answered with all that was there, in however many batches,
// even if its time is over before, and although more comes all the time.
func testPollBehind(s *server) {
	s.options.PollUntil = time.Now()
	s.source.Lag, s.source.Batch = 100, 7
	s.source.After = func() { s.source.Add(7) }
	s.source.Add(s.source.Lag)
	s.reads(s.open(), 1, 105, true)
	s.outcome(sse.SourceDone, 105)
}

// testPollSlow: a source may be behind, and have nothing to give for some time.
func testPollSlow(s *server) {
	s.options.PollUntil = time.Now()
	s.source.Lag = 2
	r := s.open()
	for n := range 2 {
		<-time.After(time.Minute)
		s.source.Add(1)
		s.reads(r, n+1, n+1, n == 1)
	}
	s.outcome(sse.SourceDone, 2)
}

// testPollNothing: a poll that does not wait, and for which there is nothing, ends at once.
func testPollNothing(s *server) {
	s.options.PollUntil = time.Now().Add(-time.Hour)
	s.reads(s.open(), 1, 0, true)
	s.outcome(sse.SourceDone, 0)
}

// testPollWaited: a poll for which nothing has come ends when its time is over.
func testPollWaited(s *server) {
	s.options.PollUntil = time.Now().Add(time.Minute)
	s.reads(s.open(), 1, 0, true)
	if late := time.Since(s.options.PollUntil); late != 0 {
		s.Errorf("%v late", late)
	}
	s.outcome(sse.SourceDone, 0)
}

// testEndless: a client that leaves ends its stream, even if the source always has more.
func testEndless(s *server) {
	s.source.After = func() { s.source.Add(1) }
	s.source.Add(1)
	r := s.open()
	s.reads(r, 1, 1000, false)
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
	s.reads(r, 1, 3, false)
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

// testLongest: "never" may be the longest duration there is.
func testLongest(s *server) {
	s.options = sse.Options{Retry: math.MaxInt64, Heartbeat: math.MaxInt64, WriteTimeout: math.MaxInt64, Deadline: time.Unix(1<<40, 0)}
	r := s.open()
	<-time.After(time.Hour)
	s.source.Add(1)
	s.source.End()
	s.reads(r, 1, 1, true)
	s.outcome(sse.SourceDone, 1)
}

func testDeadline(s *server) {
	s.options = sse.Options{Heartbeat: 15 * time.Second, Deadline: time.Now().Add(time.Minute)}
	s.source.Add(1)
	r := s.open()
	s.reads(r, 1, 1, true)
	if late := time.Since(s.options.Deadline); late != 0 || len(r.Comments) != 3 {
		s.Errorf("ended %v after the deadline; comments %q", late, r.Comments)
	}
	s.outcome(sse.DeadlineReached, 1)
}

func testPassedDeadline(s *server) {
	s.options.Deadline = time.Now()
	s.source.Add(2)
	r := s.open()
	s.reads(r, 1, 1, true)
	s.outcome(sse.DeadlineReached, 1)
}

// testShutdown ends the stream after all that came before it.
func testShutdown(s *server) {
	shutdown := make(chan struct{})
	s.options = sse.Options{Shutdown: shutdown, WriteTimeout: time.Minute}
	r := s.open()
	synctest.Wait()
	s.source.Add(100)
	close(shutdown)
	s.reads(r, 1, 100, true)
	s.outcome(sse.ShutdownReached, 100)
}

// testShutdownAfterNext sends what came before the shutdown, even if both came just
// after the source was asked.
func testShutdownAfterNext(s *server) {
	shutdown := make(chan struct{})
	s.options.Shutdown = shutdown
	var once sync.Once
	s.source.After = func() {
		once.Do(func() {
			s.source.Add(3)
			close(shutdown)
		})
	}
	r := s.open()
	s.reads(r, 1, 3, true)
	s.outcome(sse.ShutdownReached, 3)
}

func testEarlyShutdown(s *server) {
	shutdown := make(chan struct{})
	close(shutdown)
	s.options.Shutdown = shutdown
	s.source.Add(3)
	r := s.open()
	s.reads(r, 1, 3, true)
	s.outcome(sse.ShutdownReached, 3)
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
	s.reads(r, 1, 3, false)
	adding.Wait()
	if time.Since(began) != 70*time.Second || !slices.Equal(r.Comments, []string{"heartbeat", "heartbeat", "heartbeat"}) {
		s.Errorf("%v, %q", time.Since(began), r.Comments)
	}
	_ = r.body.Close()
	s.outcome(sse.ClientGone, 3)
}
