package routes

import (
	"container/heap"
	"errors"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"example.com/sse-demo/sse"
)

// A sweeper serves thousands of streams from one goroutine. Their connections
// were taken over from net/http, so nothing else is left of their requests. It is
// woken when cursors have something to read, gives each of those streams a turn,
// and writes without ever waiting: a stream whose socket is full goes to a
// goroutine of its own until the client has taken what is there. One clock drives
// all heartbeats.
type sweeper struct {
	server *Server
	wake   chan struct{}
	abort  chan struct{} // closed when nobody wants to wait any longer

	mu      sync.Mutex
	queue   []*visit // that may have something to do
	joined  clock    // new streams, which are not on the clock yet
	stopped bool

	// What follows is used by the sweeper's goroutine only.
	clock   clock    // all its streams
	round   []*visit // the queue that is being served
	frames  [][]byte
	buffer  sse.Buffer
	current *visit
}

// breath: after a round that took longer than this comes a pause of an eighth of
// it, and of this at least. Publishers then have the processor, who on a single
// core wait for each round as a whole, and what they publish meanwhile is one
// write a stream.
const breath = time.Millisecond

// sweep is the part of a visit that its sweeper uses.
type sweep struct {
	by     *sweeper
	due    time.Time // when there is something to do, if nothing comes before
	place  int       // in the clock
	queued bool      // guarded by sweeper.mu, like busy
	busy   bool      // a goroutine waits for the client
	over   bool
}

// run serves streams until the server drains and the last one has ended.
func (s *sweeper) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	draining, abort := s.server.draining, s.abort
	for {
		select {
		case <-s.wake:
		case <-timer.C:
		case <-draining:
			draining = nil // told once
			s.wakeAll()
		case <-abort:
			abort = nil
			s.closeAll()
		}
		runtime.Gosched() // publishers and other streams' news go first, and are part of this round
		began := time.Now()
		for _, v := range s.take() {
			s.serve(v)
		}
		s.beat(time.Now())
		if draining == nil && s.stop() {
			return
		}
		if took := time.Since(began); took > breath {
			timer.Reset(max(breath, took/8))
			<-timer.C
		}
		timer.Reset(s.untilDue())
	}
}

// stop reports whether the sweeper's work is done.
func (s *sweeper) stop() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = len(s.clock) == 0 && len(s.joined) == 0
	return s.stopped
}

// serve gives a stream its turn.
func (s *sweeper) serve(v *visit) {
	if v.sweep.over {
		return
	}
	switch {
	case v.ended: // and the client has been told, or cannot be
		s.finish(v)
		return
	case mayBlock(v.cursor):
		s.wait(v)
		return
	}
	s.guard(v, func() error { return v.turn(&s.frames, s.try) })
}

// guard does something with a stream without waiting, and then what follows from
// it. A panic ends that stream only.
func (s *sweeper) guard(v *visit, do func() error) {
	defer func() {
		if p := recover(); p != nil {
			s.server.panicked(v, p)
			s.finish(v)
		}
	}()
	s.current = v
	err := do()
	switch {
	case errors.Is(err, sse.ErrFull):
		s.wait(v)
	case err != nil:
		v.fail(err)
		s.finish(v)
	case v.reason != "":
		s.finish(v)
	}
}

// try sends to the current stream what its socket takes.
func (s *sweeper) try(frames ...[]byte) error { return s.current.stream.Try(&s.buffer, frames...) }

// wait has a goroutine serve a stream that may have to wait, for its client or
// for a disk. When it need not any more, it comes back.
func (s *sweeper) wait(v *visit) {
	s.mu.Lock()
	v.sweep.busy = true
	s.mu.Unlock()
	s.server.sweeping.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				s.server.panicked(v, p)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			v.sweep.busy = false
			s.enqueue(v)
		}()
		var frames [][]byte
		err := v.stream.Send() // what the socket did not take
		for err == nil && v.reason == "" {
			err = v.turn(&frames, v.stream.Send)
			if !mayBlock(v.cursor) {
				break
			}
		}
		if err != nil {
			v.fail(err)
		}
	})
}

// mayBlock reports whether the next call of Next may have to wait for a disk.
func mayBlock(c cursor) bool {
	b, ok := c.(interface{ MayBlock() bool })
	return ok && b.MayBlock()
}

// finish closes the connection and gives everything back.
func (s *sweeper) finish(v *visit) {
	if v.sweep.over {
		return
	}
	v.sweep.over = true
	heap.Remove(&s.clock, v.sweep.place)
	v.stream.Close()
	v.end()
}

func (s *Server) panicked(v *visit, p any) {
	s.metrics.panics.Add(1)
	s.Logger.Error().Str("stream", v.name).Interface("panic", p).Bytes("stack", debug.Stack()).Msg("a stream panicked")
	v.reason, v.ended = endFailed, true
}

func (s *sweeper) isBusy(v *visit) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return v.sweep.busy
}
