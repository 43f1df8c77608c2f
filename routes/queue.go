package routes

import (
	"container/heap"
	"errors"
	"runtime"
	"slices"

	"github.com/labstack/echo/v4"

	"example.com/sse-demo/sse"
)

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

// add gives the sweeper a stream, unless it has stopped. A stream that has nothing
// to read yet does not wake it: there is a round before its first heartbeat.
func (s *sweeper) add(v *visit) bool {
	s.mu.Lock()
	stopped := s.stopped
	if !stopped {
		v.sweep.by = s
		s.joined = append(s.joined, v)
		s.server.sweeping.Go(v.awaitClient)
	}
	s.mu.Unlock()
	if stopped {
		return false
	}
	v.cursor.Notify(v.ready) // not under the lock, which ready takes
	if !v.expires.IsZero() || s.server.isDraining() {
		v.ready()
	}
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

// take puts new streams on the clock, and returns those that may have something
// to do.
func (s *sweeper) take() []*visit {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.joined {
		v.sweep.due = v.nextDue()
		heap.Push(&s.clock, v)
	}
	clear(s.joined)
	s.joined = s.joined[:0]
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

// closeAll closes the connections of all streams.
func (s *sweeper) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range slices.Concat(s.clock, s.joined) {
		v.stream.Close()
	}
}

func (s *sweeper) wakeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range slices.Concat(s.clock, s.joined) {
		s.enqueue(v)
	}
}
