package eventloop

import (
	"container/heap"
	"runtime"
	"slices"
	"sync"
	"time"
)

// A worker is one goroutine and the streams that it serves.
type worker struct {
	loop   *Loop
	signal chan struct{} // has a value if there is work

	mu     sync.Mutex
	queue  []*session // that were woken, some of them more than once
	joined []*session // that are not on the clock yet
	sleeps time.Time  // until when the goroutine sleeps if nothing wakes it

	// What follows is used by the worker's goroutine only.
	clock   clock      // all its streams
	pass    []*session // the part of the queue that is being served
	scratch scratch
}

// pause: after a pass that took longer than this the worker waits for an eighth of
// it, and at least this long. Publishers, which on a single core wait for the whole
// pass, then get the processor, and all that they publish meanwhile is one write a
// stream.
const pause = time.Millisecond

// run serves streams until the loop is closed and the last one has ended.
func (w *worker) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	shutdown, closed := w.loop.shutdown, w.loop.closed
	for {
		select {
		case <-w.signal:
		case <-timer.C:
		case <-shutdown:
			shutdown = nil
			w.each((*session).wake)
		case <-closed:
			closed = nil
			w.each((*session).leave)
		}
		runtime.Gosched() // what is published meanwhile is part of this pass
		w.scratch.now = time.Now()
		for _, s := range w.take() {
			w.serve(s)
		}
		w.checkClock()
		if closed == nil && w.isDone() {
			return
		}
		if took := time.Since(w.scratch.now); took > pause {
			timer.Reset(max(pause, took/8))
			<-timer.C
		}
		timer.Reset(w.untilDue())
	}
}

// serve makes a step with a stream.
func (w *worker) serve(s *session) {
	if s.Reason != "" { // the end was written, or could not be
		w.finish(s)
		return
	}
	more, err := s.step(&w.scratch)
	w.settle(s, err)
	if more {
		s.wake()
	}
}

// settle does what follows from a write.
func (w *worker) settle(s *session, err error) {
	switch {
	case s.hasEnded(err):
		w.finish(s)
	case err != nil:
		w.setState(s, writing)
		go w.writeRest(s)
	}
}

// writeRest writes what the socket did not take, and returns the stream to its worker.
// It is a goroutine, because it waits for the client.
func (w *worker) writeRest(s *session) {
	if err := s.conn.flush(&s.Stream); err != nil {
		s.ClientFailed(err)
	} else {
		s.taken(time.Now())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.enqueue(s)
}

// checkClock sends the heartbeats that are due, and ends streams whose deadline
// has passed.
func (w *worker) checkClock() {
	now := w.scratch.now
	for len(w.clock) > 0 && !w.clock[0].due.After(now) {
		s := w.clock[0]
		switch {
		case w.isWriting(s):
			s.due = now.Add(time.Second) // it is not silent; look again
			heap.Fix(&w.clock, 0)
			continue
		case s.Reason != "", s.isEnding():
			w.serve(s)
		default:
			if heartbeat := s.DueHeartbeat(now); heartbeat != nil {
				w.settle(s, s.write(&w.scratch, heartbeat))
			}
		}
		if s.index != notOnClock && !w.isWriting(s) {
			s.due = s.Due(now)
			heap.Fix(&w.clock, s.index)
		}
	}
}

// finish takes a stream off the clock and ends it.
func (w *worker) finish(s *session) {
	heap.Remove(&w.clock, s.index)
	w.setState(s, ended)
	s.finish()
}

// each calls do for all streams.
func (w *worker) each(do func(*session)) {
	w.mu.Lock()
	all := slices.Concat(w.clock, w.joined)
	w.mu.Unlock()
	for _, s := range all {
		do(s)
	}
}

// untilDue is how long the worker may sleep. A stream that joins from now on and is
// due earlier wakes it; one that has joined since the last take could not, because
// the worker was awake.
func (w *worker) untilDue() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sleeps = time.Now().Add(longestSleep)
	if len(w.clock) > 0 && w.clock[0].due.Before(w.sleeps) {
		w.sleeps = w.clock[0].due
	}
	for _, s := range w.joined {
		if s.due.Before(w.sleeps) {
			w.sleeps = s.due
		}
	}
	return time.Until(w.sleeps)
}

const longestSleep = time.Hour
