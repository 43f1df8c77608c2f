package routes

import (
	"context"
	"errors"
	"sync"
	"time"
)

var errDraining = errors.New("the service is shutting down; nothing was done")

// A gate lets requests in. It bounds how many streams are open at once. At a shutdown
// it refuses new requests, gives up on clients that do not send or take their share,
// and knows when the last request has ended.
type gate struct {
	maxStreams   int
	writeTimeout time.Duration  // 0 for none
	shutdown     chan struct{}  // closed when streams are to end
	endStreams   func()         // closes shutdown, once
	writes, open sync.WaitGroup // open are streams and answers; none is added once the gate is closed

	mu       sync.Mutex
	isClosed bool
	streams  int
	answers  map[*answer]struct{} // that began before the gate was closed
}

func newGate(maxStreams int, writeTimeout time.Duration) *gate {
	shutdown := make(chan struct{})
	return &gate{
		maxStreams: maxStreams, writeTimeout: writeTimeout, answers: map[*answer]struct{}{},
		shutdown: shutdown, endStreams: sync.OnceFunc(func() { close(shutdown) }),
	}
}

// Drain ends every stream cleanly and lets no new one begin. Call it before
// [http.Server.Shutdown], which waits for streams but does not end them, and which
// drops requests that come later instead of answering that the service is
// draining. Publishing is refused first and jobs are ended, so each stream ends with
// all that was published before, and the stream of a job with its last event.
func (s *Server) Drain() {
	s.gate.close()
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

// close refuses all streams and writes from now on.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.isClosed = true
	for a := range g.answers {
		a.hurry()
	}
}

func (g *gate) isDraining() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.isClosed
}

// openStream takes one of the places for streams. It returns false if none is free, or
// the service is draining.
func (g *gate) openStream() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.isClosed || g.streams >= g.maxStreams {
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

// write runs do, which changes what other clients see, unless the service is draining.
func (s *Server) write(do func() error) error {
	if !s.gate.beginWrite() {
		return s.unavailable(errDraining.Error())
	}
	defer s.gate.writes.Done()
	return do()
}

func (g *gate) beginWrite() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.isClosed {
		g.writes.Add(1)
	}
	return !g.isClosed
}
