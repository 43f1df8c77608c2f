package tail

import (
	"context"
	"io"
	"regexp"
	"sync"
	"sync/atomic"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

// A Feed is a client's position in a followed file: a source of a stream (see
// package sse). It is safe for concurrent use.
type Feed struct {
	follower *Follower
	grep     *regexp.Regexp // nil for all lines
	wake     atomic.Pointer[func()]

	mu       sync.Mutex // never held while a file is read or a line matched
	position string
	after    []byte // id of the last event that Next has returned, or the one it begins after

	pending [][]byte // what Next returns first
	at      location // unless a worker has it
	worker  *worker  // nil if the feed reads memory itself
	entries []pubsub.Entry
	over    bool // the follower has ended
	closed  bool
}

// Follow returns a feed, to be closed after use: right after lastEventID, or if
// that is empty, before the last lines of the file. If grep is not nil, the feed
// has only lines that match it, also of those last ones. Follow reads the file to
// find its position: up to 64 MiB for lines, and a few bytes for lastEventID.
func (f *Follower) Follow(lines int, grep *regexp.Regexp, lastEventID string) *Feed {
	c := &Feed{follower: f, grep: grep, position: lastEventID}
	if lastEventID == "" {
		var id pubsub.ID
		c.at, id = f.backfill(lines)
		c.position = id.String()
	} else {
		var ok bool
		if c.at, ok = f.resume(lastEventID); !ok {
			var oldest string
			c.at, c.position, oldest = f.oldest()
			c.pending = append(c.pending, sse.AppendGap(nil, lastEventID, oldest))
		}
	}
	c.after = []byte(c.position)
	return c
}

// Position returns the id right before what the feed has first. After [Feed.Prefill]
// it may be a later one, if no line until there matches.
func (c *Feed) Position() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.position
}

// Notify makes the feed call wake, from any goroutine, when Next may have more: at
// once if it already has. wake must neither block nor use the feed.
func (c *Feed) Notify(wake func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.wake.Store(&wake)
	c.start()
	if c.worker != nil || len(c.pending) > 0 || c.over {
		wake()
	}
	if c.at.live != nil {
		c.at.live.Notify(wake)
	}
}

func (c *Feed) notify() {
	if wake := c.wake.Load(); wake != nil {
		(*wake)()
	}
}

// Next appends the frames of the next lines, up to a batch, after a gap event if
// lines are lost. It returns io.EOF if the follower has ended, and never blocks.
func (c *Feed) Next(frames [][]byte) ([][]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.start()
	had := len(frames)
	if c.worker != nil && len(c.pending) == 0 {
		c.receive()
	}
	frames = append(frames, c.pending...)
	c.pending = nil
	switch {
	case c.over || c.closed:
		return frames, io.EOF
	case c.worker != nil:
		if len(frames) > had {
			c.notify() // there may be another batch
		}
	default:
		frames = c.appendLive(frames)
	}
	for i := len(frames) - 1; i >= had; i-- {
		if id := sse.FrameID(frames[i]); id != nil {
			c.after = append(c.after[:0], id...)
			break
		}
	}
	return frames, nil
}

// appendLive appends the lines that follow in memory. If memory has dropped them,
// a worker reads them from the file.
func (c *Feed) appendLive(frames [][]byte) [][]byte {
	entries, ok := c.follower.read(&c.at, c.entries[:0])
	if !ok {
		c.start()
		return frames
	}
	for _, e := range entries {
		frames = append(frames, e.Frame)
	}
	clear(entries)
	c.entries = entries
	return frames
}

// start starts a worker if the feed needs one.
func (c *Feed) start() {
	if c.worker != nil || c.over || c.closed || c.grep == nil && c.at.live != nil {
		return
	}
	w := newWorker(c)
	if !c.follower.startWorker(w) {
		c.over = true
		return
	}
	c.worker, c.at, c.pending = w, location{}, nil
}

// receive takes a batch from the worker, if it has one.
func (c *Feed) receive() {
	select {
	case batch, ok := <-c.worker.batches:
		c.received(batch, ok)
	default:
	}
}

// received takes the position back from a worker that has ended.
func (c *Feed) received(batch [][]byte, ok bool) {
	if ok {
		c.pending = batch
		return
	}
	c.at, c.pending = c.worker.at, c.worker.batch
	c.worker = nil
	if c.grep != nil || c.at.live == nil {
		c.over = true // the follower has ended
		return
	}
	c.at.live.Notify(c.notify)
}

// Prefill waits until Next has a batch or all lines that are there were searched,
// or until ctx is done: for long polling, before the head of the response.
func (c *Feed) Prefill(ctx context.Context) {
	w := c.emptyWorker()
	if w == nil {
		return
	}
	select {
	case batch, ok := <-w.batches:
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.worker == w {
			c.received(batch, ok)
		}
		return
	case <-w.caughtUp:
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.worker != w {
		return
	}
	position := w.searchedTo() // before the last receive: what matches until there is in a batch
	if c.receive(); c.worker != nil && len(c.pending) == 0 && position != "" {
		c.position = position
	}
}

// emptyWorker returns the worker if the feed has one and nothing for Next yet.
func (c *Feed) emptyWorker() *worker {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.start(); len(c.pending) > 0 {
		return nil
	}
	return c.worker
}

// Close releases what the feed holds, at once; a worker that is reading ends
// when it has read. wake is not called any more.
func (c *Feed) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.worker != nil {
		c.worker.abandon()
		c.worker = nil
	}
	c.follower.leave(&c.at)
}
