package routes

import "sync"

// slots bounds how many streams are open at once, and knows when the last has
// ended.
type slots struct {
	limit int

	mu     sync.Mutex
	open   int
	closed bool
	idle   chan struct{} // closed when there is no open stream, and there will be none
}

func newSlots(limit int) *slots {
	return &slots{limit: limit, idle: make(chan struct{})}
}

// take returns false if there are too many streams, or none may be opened any
// more.
func (s *slots) take() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.open >= s.limit {
		return false
	}
	s.open++
	return true
}

func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	s.closeIdle()
}

// close lets no more streams be opened.
func (s *slots) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		s.closeIdle()
	}
}

func (s *slots) closeIdle() {
	if s.closed && s.open == 0 {
		close(s.idle)
	}
}
