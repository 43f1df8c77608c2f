package eventloop

import (
	"container/heap"
	"time"
)

// A state tells which goroutine owns a stream, and what a wake has to do. worker.mu
// guards it.
type state uint8

const (
	starting state = iota // the handler owns it
	woken                 // as starting, but it will be queued when it joins
	idle                  // the worker owns it, and has nothing to do
	queued                // the worker owns it, and will make a step
	writing               // writeRest owns it, until the client has taken what there is
	ended                 // no goroutine owns it
)

// wake is called, by any goroutine, when there may be something to do.
func (s *session) wake() {
	w := s.worker
	w.mu.Lock()
	defer w.mu.Unlock()
	switch s.state {
	case starting:
		s.state = woken
	case idle:
		w.enqueue(s)
	case woken, queued, writing, ended: // it comes to the queue, or is there, or needs no step
	}
}

// enqueue has the worker make a step with a stream. It needs the lock.
func (w *worker) enqueue(s *session) {
	s.state = queued
	w.queue = append(w.queue, s)
	w.rouse()
}

// rouse ends the worker's sleep.
func (w *worker) rouse() {
	select {
	case w.signal <- struct{}{}:
	default: // there is work for it already
	}
}

// join gives a stream to its worker, or returns false if the loop is closed. If
// something is yet to be written, writeRest does so first. A stream that nothing has
// woken does not rouse the worker, unless it is the first to be due.
func (w *worker) join(s *session, mustWrite bool) bool {
	s.due = s.Due(time.Now())
	w.mu.Lock()
	defer w.mu.Unlock()
	if isClosed(w.loop.closed) {
		return false
	}
	w.joined = append(w.joined, s)
	switch {
	case mustWrite:
		s.state = writing
		go w.writeRest(s)
	case s.state == woken, isClosed(s.Shutdown):
		w.enqueue(s)
	default:
		s.state = idle
	}
	if s.due.Before(w.sleeps) {
		w.rouse()
	}
	return true
}

// take puts the streams that have joined on the clock, and returns those that
// need a step.
func (w *worker) take() []*session {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.joined {
		heap.Push(&w.clock, s)
	}
	clear(w.joined)
	w.joined = w.joined[:0]
	clear(w.pass)
	w.pass = w.pass[:0]
	for _, s := range w.queue {
		if s.state == queued { // it may be writing since, or be here twice
			s.state = idle
			w.pass = append(w.pass, s)
		}
	}
	clear(w.queue)
	w.queue = w.queue[:0]
	return w.pass
}

func (w *worker) setState(s *session, to state) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.state = to
}

func (w *worker) isWriting(s *session) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return s.state == writing
}

// isDone reports whether there are no streams.
func (w *worker) isDone() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.clock) == 0 && len(w.joined) == 0
}

// A clock is a heap of streams by the time at which they are due.
type clock []*session

// notOnClock is the index of a stream that is on no clock.
const notOnClock = -1

func (c clock) Len() int           { return len(c) }
func (c clock) Less(i, j int) bool { return c[i].due.Before(c[j].due) }

func (c clock) Swap(i, j int) {
	c[i], c[j] = c[j], c[i]
	c[i].index, c[j].index = i, j
}

// Push implements [heap.Interface].
func (c *clock) Push(x any) {
	s := x.(*session)
	s.index = len(*c)
	*c = append(*c, s)
}

// Pop implements [heap.Interface].
func (c *clock) Pop() any {
	last := len(*c) - 1
	s := (*c)[last]
	(*c)[last] = nil
	*c = (*c)[:last]
	s.index = notOnClock
	return s
}
