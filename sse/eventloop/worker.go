package eventloop

import (
	"container/heap"
	"runtime"
	"sync"
	"time"
)

// A worker is one goroutine and the streams that it serves.
type worker struct {
	loop   *Loop
	signal chan struct{} // has a value if there is work

	mu    sync.Mutex
	queue []*session // that need a step, some of them twice

	// What follows is used by the worker's goroutine only.
	pass   []*session // the part of the queue that is being served
	clock  clock      // the streams that are idle or queued
	buffer buffer
}

// A state decides what a wake has to do. worker.mu guards it.
type state uint8

const (
	busy   state = iota // another goroutine has the stream and will hand it over, or it has ended
	idle                // the worker has it: a wake queues it
	queued              // the worker will make a step
)

// wake is called, by any goroutine, when there may be something to do.
func (s *session) wake() {
	s.worker.mu.Lock()
	defer s.worker.mu.Unlock()
	if s.state == idle {
		s.enqueue()
	}
}

// handOver gives the stream to its worker, for a step.
func (s *session) handOver() {
	s.worker.mu.Lock()
	defer s.worker.mu.Unlock()
	s.enqueue()
}

// enqueue needs the lock.
func (s *session) enqueue() {
	s.state = queued
	s.worker.queue = append(s.worker.queue, s)
	select {
	case s.worker.signal <- struct{}{}:
	default: // it has work already
	}
}

// pause: after a pass that took longer than this the worker waits for an eighth of
// it, and at least this long. Publishers, which on a single core wait for the whole
// pass, then get the processor, and all that they publish meanwhile is one write a
// stream.
const pause = time.Millisecond

// run makes passes until the loop has ended.
func (w *worker) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-w.signal:
		case <-timer.C:
		case <-w.loop.ended:
			return
		}
		runtime.Gosched() // what is published meanwhile is part of this pass
		pass := w.take()
		w.buffer.now = time.Now()
		for _, s := range pass {
			w.serve(s)
		}
		for len(w.clock) > 0 && !w.clock[0].Due.After(w.buffer.now) {
			w.serve(w.clock[0])
		}
		if took := time.Since(w.buffer.now); took > pause {
			<-time.After(max(pause, took/8))
		}
		if len(w.clock) > 0 {
			timer.Reset(time.Until(w.clock[0].Due))
		}
	}
}

// take returns the streams that need a step. They are idle from now on, so that a
// wake during the step queues them for another one.
func (w *worker) take() []*session {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.pass)
	w.pass = w.pass[:0]
	for _, s := range w.queue {
		if s.state == queued { // it may be busy since, or be here twice
			s.state = idle
			w.pass = append(w.pass, s)
		}
	}
	clear(w.queue)
	w.queue = w.queue[:0]
	return w.pass
}

// serve makes a step with a stream, and sets the clock to when it is due.
func (w *worker) serve(s *session) {
	due := s.Due
	isFull := s.step(&w.buffer)
	switch {
	case isFull:
		w.release(s)
		go s.writeRest()
	case s.Reason != "": // the end was written, or could not be
		w.release(s)
		s.finish()
	case s.index == offClock:
		heap.Push(&w.clock, s)
	case s.Due != due:
		heap.Fix(&w.clock, s.index)
	}
}

// release takes a stream from the worker.
func (w *worker) release(s *session) {
	if s.index != offClock {
		heap.Remove(&w.clock, s.index)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s.state = busy
}

// A clock is a heap of streams by the time at which they are due: the runtime would
// start a goroutine for each timer that fires.
type clock []*session

// offClock is the index of a stream that is on no clock.
const offClock = -1

func (c clock) Len() int           { return len(c) }
func (c clock) Less(i, j int) bool { return c[i].Due.Before(c[j].Due) }

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
	s.index = offClock
	return s
}
