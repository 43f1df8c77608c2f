package routes

import (
	"context"
	"sync"
)

// errDraining is the answer to what begins after Drain.
var errDraining = unavailable("the service is shutting down; nothing was done")

// A gate lets requests in until the service drains, bounds how many streams are open at
// once, and knows when the last request has ended.
type gate struct {
	draining   context.Context //nolint:containedctx // of the service; it ends when nothing new may begin
	close      func()          // ends draining
	shutdown   <-chan struct{} // closed when streams are to end
	endStreams func()          // closes shutdown
	maxStreams int

	mu      sync.Mutex
	streams int
	writes  sync.WaitGroup // publications under way
	open    sync.WaitGroup // requests and streams
}

func newGate(maxStreams int) *gate {
	draining, closeGate := context.WithCancel(context.Background())
	shutdown, endStreams := context.WithCancel(context.Background())
	return &gate{draining: draining, close: closeGate, shutdown: shutdown.Done(), endStreams: endStreams, maxStreams: maxStreams}
}

// Drain ends every stream cleanly and lets no new one begin. Call it before
// [http.Server.Shutdown], which waits for streams but does not end them, and which
// drops requests that come later instead of answering that the service is
// draining. Publishing is refused first and jobs are ended, so each stream ends with
// all that was published before, and the stream of a job with its last event.
func (s *Server) Drain() {
	s.gate.mu.Lock()
	s.gate.close()
	s.gate.mu.Unlock()
	s.gate.writes.Wait()
	s.config.Jobs.Stop()
	s.gate.endStreams()
}

// Wait waits, after Drain, until the last stream and the last answer have ended. It
// returns ctx.Err() if that comes first.
func (s *Server) Wait(ctx context.Context) error {
	idle := make(chan struct{})
	go func() { // it ends at the latest when the server cuts off its clients
		<-s.gate.shutdown
		s.gate.open.Wait()
		close(idle)
	}()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *gate) isDraining() bool { return g.draining.Err() != nil }

// onDrain calls hurry if the service drains before stop is called. After stop, hurry is
// not running.
func (g *gate) onDrain(hurry func()) (stop func()) {
	hurried := make(chan struct{})
	unregister := context.AfterFunc(g.draining, func() {
		defer close(hurried)
		hurry()
	})
	return func() {
		if !unregister() {
			<-hurried
		}
	}
}

// begin adds one to the group, unless the service is draining.
func (g *gate) begin(group *sync.WaitGroup) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.isDraining() {
		return false
	}
	group.Add(1)
	return true
}

// openStream takes one of the places for streams. It returns false if none is free, or
// the service is draining.
func (g *gate) openStream() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.isDraining() || g.streams >= g.maxStreams {
		return false
	}
	g.streams++
	g.open.Add(1)
	return true
}

func (g *gate) closeStream() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.streams--
	g.open.Done()
}
