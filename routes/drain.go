package routes

import (
	"context"
	"errors"
	"sync"
)

var errDraining = errors.New("the service is shutting down; nothing was done")

// Drain ends every stream cleanly and lets no new one begin. Call it before
// [http.Server.Shutdown], which waits for streams but does not end them, and which
// drops requests that come later instead of answering that the service is
// draining. Publishing is refused first and jobs are ended, so each stream ends with
// all that was published before, and that of a job with its last event.
func (s *Server) Drain() {
	s.writes.close()
	s.bodies.close()
	s.config.Jobs.Stop()
	s.slots.close()
	s.drain.Do(func() { close(s.shutdown) })
}

// Wait waits, after Drain, until the last stream has ended. It returns ctx.Err()
// if that comes first.
func (s *Server) Wait(ctx context.Context) error {
	select {
	case <-s.slots.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Server) isDraining() bool {
	select {
	case <-s.shutdown:
		return true
	default:
		return false
	}
}

// writes is a gate for requests that publish or start something.
type writes struct {
	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

// begin returns false if the gate is closed. Otherwise end must follow.
func (g *writes) begin() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.running.Add(1)
	}
	return !g.closed
}

func (g *writes) end() { g.running.Done() }

// close refuses all writes that follow, and waits for those under way.
func (g *writes) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.running.Wait()
}

// write does something that other clients will see, unless the service is
// draining.
func (s *Server) write(do func() error) error {
	if !s.writes.begin() {
		return s.unavailable(errDraining.Error())
	}
	defer s.writes.end()
	return do()
}
