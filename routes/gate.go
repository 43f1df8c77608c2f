package routes

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	maxBody     = 64 << 10         // bytes of a request body
	bodyTimeout = 10 * time.Second // in which it must arrive

	// restTimeout is for the rest of a body that was refused: net/http reads it after
	// the answer.
	restTimeout = time.Second

	// lastTimeout replaces a longer write timeout of answers during a shutdown.
	lastTimeout = time.Second

	// pieceSize is how many bytes of an answer share one write deadline, so that a
	// client on a slow line is not cut off in the middle of a long one.
	pieceSize = 4 << 10
)

var errDraining = errors.New("the service is shutting down; nothing was done")

// A gate lets requests in. It bounds how many streams are open at once. At a shutdown
// it refuses new requests, gives up on clients that do not send or take their share,
// and knows when the last request has ended.
type gate struct {
	maxStreams   int
	writeTimeout time.Duration // 0 for none
	writes       sync.WaitGroup
	shutdown     chan struct{} // closed when streams are to end
	idle         chan struct{} // closed when the last stream and the last answer have ended after that

	mu       sync.Mutex
	isClosed bool
	isEnding bool // shutdown is closed
	streams  int
	answers  map[*answer]struct{} // that began before the gate was closed
}

func newGate(maxStreams int, writeTimeout time.Duration) *gate {
	return &gate{
		maxStreams: maxStreams, writeTimeout: writeTimeout, answers: map[*answer]struct{}{},
		shutdown: make(chan struct{}), idle: make(chan struct{}),
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
	select {
	case <-s.gate.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close refuses all streams and writes from now on. It gives up on bodies that have not
// arrived, because their requests would be refused, and shortens the time of clients
// that take nothing of their answers.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.isClosed = true
	for a := range g.answers {
		if a.rest > 0 {
			_ = a.control.SetReadDeadline(time.Now()) // if it fails, the client has left
		}
		if a.hasBegun { // others have a deadline when they begin
			_ = a.control.SetWriteDeadline(time.Now().Add(a.rest + min(g.writeTimeout, lastTimeout)))
		}
	}
}

func (g *gate) endStreams() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.isEnding {
		g.isEnding = true
		close(g.shutdown)
		g.checkIdle()
	}
}

// checkIdle closes idle after the last request. It is called with the lock.
func (g *gate) checkIdle() {
	if !g.isEnding || g.streams > 0 || len(g.answers) > 0 {
		return
	}
	select {
	case <-g.idle:
	default:
		close(g.idle)
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
	return true
}

func (g *gate) closeStream() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.streams--
	g.checkIdle()
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
