package routes

import (
	"container/heap"
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

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
	stopped bool

	// What follows is used by the sweeper's goroutine only.
	clock   clock    // all its streams
	round   []*visit // the queue that is being served
	frames  [][]byte
	buffer  []byte
	current *visit
}

// sweep is the part of a visit that its sweeper uses.
type sweep struct {
	by     *sweeper
	due    time.Time // when there is something to do, if nothing comes before
	place  int       // in the clock, from 1; 0 before the first turn
	queued bool      // guarded by sweeper.mu, like busy
	busy   bool      // a goroutine waits for the client
	over   bool
}

// newSweepers starts a sweeper for each processor but one, which is for requests.
func newSweepers(s *Server) []*sweeper {
	sweepers := make([]*sweeper, max(runtime.GOMAXPROCS(0)-1, 1))
	for i := range sweepers {
		sweepers[i] = &sweeper{server: s, wake: make(chan struct{}, 1), abort: make(chan struct{})}
		s.sweeping.Go(sweepers[i].run)
	}
	return sweepers
}

// sweep takes the connection of a request over and gives the visit to a sweeper.
// It returns false, and has done nothing, where that cannot be done.
func (s *Server) sweep(c echo.Context, v *visit) bool {
	if s.KeepHandlers {
		return false
	}
	stream, err := sse.TakeOver(c.Response().Writer, c.Request(), s.Stream)
	if errors.Is(err, errors.ErrUnsupported) {
		return false
	}
	c.Response().Committed = true
	if err != nil { // the client has left already
		v.fail(err)
		return true
	}
	v.stream = stream
	if !s.sweepers[s.nextSweeper.Add(1)%uint64(len(s.sweepers))].add(v) {
		v.reason = endShutdown
		stream.Close()
	}
	return true
}

// add gives the sweeper a stream, unless it has stopped.
func (s *sweeper) add(v *visit) bool {
	s.mu.Lock()
	stopped := s.stopped
	if !stopped {
		v.sweep.by = s
		s.server.sweeping.Go(v.awaitClient)
	}
	s.mu.Unlock()
	if stopped {
		return false
	}
	v.cursor.Notify(v.ready) // not under the lock, which ready takes
	v.ready()
	return true
}

// ready is called when there may be something to do.
func (v *visit) ready() {
	s := v.sweep.by
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enqueue(v)
}

func (s *sweeper) enqueue(v *visit) {
	if v.sweep.queued || v.sweep.busy { // who is busy comes back
		return
	}
	v.sweep.queued = true
	s.queue = append(s.queue, v)
	select {
	case s.wake <- struct{}{}:
	default: // it has been told already
	}
}

// awaitClient waits until the client leaves, or the connection was closed here.
func (v *visit) awaitClient() {
	if v.stream.AwaitClient() {
		v.gone.Store(true)
		v.stream.Close()
		v.ready()
	}
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
			for _, v := range s.clock {
				v.stream.Close()
			}
		}
		runtime.Gosched() // publishers and other streams' news go first, and are part of this round
		for _, v := range s.take() {
			s.serve(v)
		}
		s.beat(time.Now())
		if draining == nil && s.stop() {
			return
		}
		if len(s.clock) > 0 {
			timer.Reset(time.Until(s.clock[0].sweep.due))
		}
	}
}

// take returns the streams that may have something to do.
func (s *sweeper) take() []*visit {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.round)
	round := s.round[:0]
	for _, v := range s.queue {
		if v.sweep.queued = false; !v.sweep.busy { // it may have become busy since
			round = append(round, v)
		}
	}
	clear(s.queue)
	s.round, s.queue = round, s.queue[:0]
	return round
}

func (s *sweeper) wakeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.clock {
		s.enqueue(v)
	}
}

// stop reports whether the sweeper's work is done.
func (s *sweeper) stop() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = len(s.clock) == 0 && len(s.queue) == 0
	return s.stopped
}

// serve gives a stream its turn.
func (s *sweeper) serve(v *visit) {
	if v.sweep.over {
		return
	}
	if v.sweep.place == 0 {
		v.sweep.due = v.nextDue()
		heap.Push(&s.clock, v)
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
func (s *sweeper) try(frames ...[]byte) (err error) {
	s.buffer, err = s.current.stream.Try(s.buffer, frames...)
	return err
}

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
	v.sweep.over = true
	heap.Remove(&s.clock, v.sweep.place-1)
	v.stream.Close()
	v.end()
}

// beat sends the heartbeats that are due, and ends streams whose time is over.
func (s *sweeper) beat(now time.Time) {
	for len(s.clock) > 0 && !s.clock[0].sweep.due.After(now) {
		v := s.clock[0]
		if s.isBusy(v) {
			v.sweep.due = now.Add(max(s.server.Stream.Heartbeat, time.Second))
			heap.Fix(&s.clock, 0)
			continue
		}
		if v.mustEnd() != "" {
			s.serve(v)
			continue
		}
		s.guard(v, func() (err error) {
			s.buffer, err = v.stream.TryHeartbeat(s.buffer)
			return err
		})
		if !v.sweep.over && !s.isBusy(v) {
			v.sweep.due = v.nextDue()
			heap.Fix(&s.clock, v.sweep.place-1)
		}
	}
}

func (s *sweeper) isBusy(v *visit) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return v.sweep.busy
}

// nextDue is when the stream needs a heartbeat or has to end.
func (v *visit) nextDue() time.Time {
	due := v.stream.NextHeartbeat()
	if v.server.Stream.Heartbeat <= 0 {
		due = time.Now().Add(time.Hour)
	}
	if !v.expires.IsZero() && v.expires.Before(due) {
		due = v.expires
	}
	return due
}

// Wait waits for the streams that net/http no longer knows of, after Drain. It
// returns ctx.Err() where that comes first.
func (s *Server) Wait(ctx context.Context) error {
	over := make(chan struct{})
	go func() { s.sweeping.Wait(); close(over) }()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close cuts off the streams that have not ended by themselves after Drain.
func (s *Server) Close() {
	s.Drain()
	s.cut.Do(func() {
		for _, sweeper := range s.sweepers {
			close(sweeper.abort)
		}
	})
	s.sweeping.Wait()
}

func (s *Server) panicked(v *visit, p any) {
	s.metrics.panics.Add(1)
	s.Logger.Error().Str("stream", v.name).Interface("panic", p).Bytes("stack", debug.Stack()).Msg("a stream panicked")
	v.reason, v.ended = endFailed, true
}

// clock is a heap of visits by the time at which they are due.
type clock []*visit

func (c clock) Len() int           { return len(c) }
func (c clock) Less(i, j int) bool { return c[i].sweep.due.Before(c[j].sweep.due) }

func (c clock) Swap(i, j int) {
	c[i], c[j] = c[j], c[i]
	c[i].sweep.place, c[j].sweep.place = i+1, j+1
}

func (c *clock) Push(v any) {
	*c = append(*c, v.(*visit))
	v.(*visit).sweep.place = len(*c)
}

func (c *clock) Pop() any {
	last := len(*c) - 1
	v := (*c)[last]
	(*c)[last] = nil
	*c = (*c)[:last]
	return v
}
