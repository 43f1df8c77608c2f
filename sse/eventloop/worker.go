package eventloop

import (
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

	pass   []*session // the part of the queue that is being served
	buffer buffer
}

// A state says what a wake has to do. worker.mu guards it.
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

// setBusy takes the stream from its worker.
func (s *session) setBusy() {
	s.worker.mu.Lock()
	defer s.worker.mu.Unlock()
	s.state = busy
}

// pause: after a pass that took longer than this the worker waits for an eighth of
// it, and at least this long. Publishers, which on a single core wait for the whole
// pass, then get the processor, and all that they publish meanwhile is one write a
// stream.
const pause = time.Millisecond

// run makes passes until the loop has ended.
func (w *worker) run() {
	for {
		select {
		case <-w.signal:
		case <-w.loop.ended:
			return
		}
		runtime.Gosched() // what is published meanwhile is part of this pass
		pass := w.take()
		w.buffer.now = time.Now() // no stream was woken later than this
		for _, s := range pass {
			w.serve(s)
		}
		if took := time.Since(w.buffer.now); took > pause {
			<-time.After(max(pause, took/8))
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

// serve makes a step with a stream.
func (w *worker) serve(s *session) {
	isFull := s.step(&w.buffer)
	switch {
	case isFull:
		s.setBusy()
		go s.writeRest()
	case s.Reason != "": // the end was written, or could not be
		s.setBusy()
		s.finish()
	}
}
