package ssetest

import (
	"io"
	"strconv"
	"sync"
	"sync/atomic"

	"example.com/sse-demo/sse"
)

// A Source is an [sse.Source] whose events a test adds.
// It may be used by any goroutine. The zero value is ready.
type Source struct {
	Begin string // its position
	Batch int    // events of one Next at most; 0 for one
	Err   error  // of Next, once all events were given; nil for a source that goes on
	Lag   int    // events that are there at the beginning: it is behind until they were given
	After func() // called by each Next, when its result is settled; may be nil

	Calls, Closed atomic.Int32 // calls of Next and Close

	mu    sync.Mutex
	added int // the id of the newest event
	given int
	wake  func()
}

// Add adds events: number 1 has the id 1 and the data "1", and so on.
func (s *Source) Add(events int) *Source {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.added += events
	if s.wake != nil {
		s.wake()
	}
	return s
}

// End has Next return io.EOF once all events were given.
func (s *Source) End() {
	s.mu.Lock()
	s.Err = io.EOF
	s.mu.Unlock()
	s.Add(0)
}

// Next implements [sse.Source].
func (s *Source) Next(frames [][]byte) ([][]byte, error) {
	s.Calls.Add(1)
	if s.After != nil {
		defer s.After()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.given == s.added {
		return frames, s.Err
	}
	for n := min(s.added-s.given, max(s.Batch, 1)); n > 0; n-- {
		s.given++
		id := strconv.Itoa(s.given)
		frames = append(frames, sse.MustFrame(sse.Event{ID: id, Data: []byte(id)}))
	}
	return frames, nil
}

// Notify implements [sse.Source].
func (s *Source) Notify(wake func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wake = wake
	if s.given < s.added || s.Err != nil {
		wake()
	}
}

// Position implements [sse.Source].
func (s *Source) Position() string { return s.Begin }

// Behind reports whether some of the first Lag events were not given yet.
func (s *Source) Behind() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.given < s.Lag
}

// Close implements [io.Closer].
func (s *Source) Close() error {
	s.Closed.Add(1)
	return nil
}
