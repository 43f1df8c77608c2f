package sse

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"example.com/sse-demo/sse/internal/stream"
)

// A response writes to one client and gives it time for each write.
type response struct {
	w       http.ResponseWriter
	control *http.ResponseController
	stream  *stream.Stream
	guard   *writeGuard // of HTTP/2; nil for HTTP/1, where the deadline is the connection's
	until   time.Time   // the deadline; zero before the first
	written int64       // since the deadline was set
}

func newResponse(w http.ResponseWriter, r *http.Request, s *stream.Stream) response {
	control := http.NewResponseController(w)
	p := response{w: w, control: control, stream: s}
	if r.ProtoMajor != 1 && s.WriteTimeout > 0 {
		p.guard = &writeGuard{cut: func() { _ = control.SetWriteDeadline(time.Unix(1, 0)) }}
	}
	return p
}

// canFlush looks for what ResponseController.Flush needs, without writing.
func canFlush(w http.ResponseWriter) error {
	for inner := w; ; {
		switch t := inner.(type) {
		case http.Flusher, interface{ FlushError() error }:
			return nil
		case interface{ Unwrap() http.ResponseWriter }:
			inner = t.Unwrap()
		default:
			return fmt.Errorf("sse: %T cannot flush, is it a middleware's writer without Unwrap? %w", w, http.ErrNotSupported)
		}
	}
}

// send writes the frames and flushes once. Every error means that the client is gone;
// it wraps [os.ErrDeadlineExceeded] if the client took no bytes for its patience.
func (p *response) send(frames [][]byte) error {
	if p.guard != nil {
		defer p.guard.end()
	}
	if err := p.extendDeadline(); err != nil {
		return err
	}
	left := stream.PieceSize // of the piece that the deadline is for
	for _, frame := range frames {
		for len(frame) > 0 {
			if left == 0 {
				if err := p.extendDeadline(); err != nil {
					return err
				}
				left = stream.PieceSize
			}
			n, err := p.w.Write(frame[:min(len(frame), left)])
			p.written += int64(n)
			if err != nil {
				return fmt.Errorf("sse: write: %w", p.cause(err))
			}
			frame, left = frame[n:], left-n
		}
	}
	if err := p.control.Flush(); err != nil {
		return fmt.Errorf("sse: flush: %w", p.cause(err))
	}
	return nil
}

// extendDeadline gives the client at least its patience for the next write, and at
// most an eighth of the timeout more: setting a deadline costs, so one serves many
// writes.
func (p *response) extendDeadline() error {
	timeout := p.stream.WriteTimeout
	if timeout == 0 {
		return nil
	}
	now := time.Now()
	p.stream.AddBacklog(p.written, now)
	p.written = 0
	patience := p.stream.Patience(now)
	isExtended := p.until.Sub(now) < patience
	if isExtended {
		p.until = now.Add(patience + timeout/8)
	}
	if p.guard != nil {
		p.guard.begin(p.until)
		return nil
	}
	if !isExtended {
		return nil
	}
	err := p.control.SetWriteDeadline(p.until)
	if err != nil && !errors.Is(err, http.ErrNotSupported) { // as the writers of tests
		return fmt.Errorf("sse: write deadline: %w", err)
	}
	return nil
}

// finish is called after the last write.
func (p *response) finish() {
	if p.guard != nil {
		p.guard.stop()
		return
	}
	_ = p.extendDeadline() // for the final chunk, which net/http writes
}

// cause is the error of a write, or that the deadline has passed: HTTP/2 says only
// that the stream was closed, so the clock decides.
func (p *response) cause(err error) error {
	if !p.until.IsZero() && !time.Now().Before(p.until) {
		return os.ErrDeadlineExceeded
	}
	return err
}

// A writeGuard is the write deadline of a stream of HTTP/2. One of net/http would end
// the stream when it passes even if nothing is being written then, and setting one is
// a message to the goroutine of the connection, a fifth of what an event costs. So a
// timer, which runs once in a timeout at the most, looks whether a write is late.
type writeGuard struct {
	cut func() // ends the stream

	mu        sync.Mutex // is held during cut: the handler must not return before
	until     time.Time  // the deadline of the write
	isWriting bool
	isRunning bool // the timer
	timer     *time.Timer
}

// begin is called before a write, or a part of one.
func (g *writeGuard) begin(until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.until, g.isWriting = until, true
	if g.isRunning {
		return
	}
	g.isRunning = true
	if g.timer == nil {
		g.timer = time.AfterFunc(time.Until(until), g.check)
	} else {
		g.timer.Reset(time.Until(until))
	}
}

// end is called after a write.
func (g *writeGuard) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.isWriting = false
}

// stop is called after the last write: the timer would hold the stream in memory.
func (g *writeGuard) stop() {
	if g.timer != nil {
		g.timer.Stop()
	}
}

func (g *writeGuard) check() {
	g.mu.Lock()
	defer g.mu.Unlock()
	left := time.Until(g.until)
	g.isRunning = g.isWriting && left > 0
	switch {
	case g.isRunning:
		g.timer.Reset(left)
	case g.isWriting:
		g.cut()
	}
}
