package sse

import (
	"sync"
	"time"
)

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
