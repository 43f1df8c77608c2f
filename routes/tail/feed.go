package tail

import (
	"context"
	"io"
	"regexp"
	"sync"
)

// A Feed is a client's position in a followed file: a source of a stream (see
// package sse). It is safe for concurrent use.
type Feed struct {
	follower *Follower
	grep     *regexp.Regexp // nil for all lines
	look     uint64         // of the follower, after which the goal is known

	stop chan struct{} // closed by Close
	room chan struct{} // Next has taken the batch
	more chan struct{} // memory has more, for the worker

	mu      sync.Mutex // never held while a file is read or a line matched
	wake    func()
	first   string   // the id at which it begins
	at      lineID   // up to which all that the client wants is in batch, or was given
	goal    *place   // the newest line when the feed was opened; nil until it is known
	batch   [][]byte // what Next returns first
	working bool     // a worker moves at, and fills batch
	closed  bool
}

// Follow returns a feed, to be closed after use: right after lastEventID, or if
// that is empty, before the last lines of the file. If grep is not nil, the feed
// has only lines that match it, also of those last ones. Follow reads the file to
// find its position: up to 64 MiB for lines, and a few bytes for lastEventID.
func (f *Follower) Follow(lines int, grep *regexp.Regexp, lastEventID string) *Feed {
	c := &Feed{
		follower: f, grep: grep,
		stop: make(chan struct{}), room: make(chan struct{}, 1), more: make(chan struct{}, 1),
		wake: func() {},
		look: f.askForLook(),
	}
	id, isKnown := f.resume(lastEventID)
	switch {
	case lastEventID == "":
		c.at = f.backfill(lines)
		c.first = c.at.String()
	case isKnown:
		c.at, c.first = id, lastEventID
	default:
		var gap []byte
		gap, c.at = f.gap(lastEventID)
		c.batch, c.first = [][]byte{gap}, c.at.String()
	}
	return c
}

// Position returns the id right before what the feed has first. After [Feed.Prefill]
// it may be a later one, if no line until there matches.
func (c *Feed) Position() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first
}

// Notify makes the feed call wake, from any goroutine, when Next may have more, and
// once at first. wake must neither block nor use the feed.
func (c *Feed) Notify(wake func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.wake = wake
	tell := wake
	if c.grep != nil {
		tell = func() { wakeUp(c.more) }
	}
	c.follower.join(c, tell)
	c.start()
	wake()
}

// Next appends the frames of the next lines, up to a batch, after a gap event if
// lines are lost. It returns io.EOF if the follower has ended, and never blocks.
func (c *Feed) Next(frames [][]byte) ([][]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	had := len(frames)
	frames = append(frames, c.batch...)
	c.batch = nil
	if c.closed || c.follower.hasEnded() {
		return frames, io.EOF
	}
	if c.grep == nil && !c.working {
		return c.appendLive(frames), nil
	}
	c.start()
	wakeUp(c.room)
	if len(frames) > had {
		c.wake() // there may be another batch
	}
	return frames, nil
}

// appendLive appends the lines that follow in memory. If memory has dropped them,
// a worker reads them from the file.
func (c *Feed) appendLive(frames [][]byte) [][]byte {
	lines, ok := c.follower.after(c.at.place)
	if !ok {
		c.start()
		return frames
	}
	for _, l := range lines {
		frames = append(frames, l.frame)
		c.at = l.id
	}
	if len(lines) > 0 {
		c.wake() // there may be more
	}
	return frames
}

// Behind reports whether the feed has yet to give something of what was in the file
// when it was opened.
func (c *Feed) Behind() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.batch) > 0 || c.isSearching()
}

// isSearching reports whether the feed has not come to its goal.
func (c *Feed) isSearching() bool {
	if c.goal == nil {
		c.goal = c.follower.goal(c.look)
	}
	return !c.closed && (c.goal == nil || c.at.before(*c.goal))
}

// start starts a worker if the feed needs one.
func (c *Feed) start() {
	if c.working || c.closed {
		return
	}
	if _, isNear := c.follower.after(c.at.place); isNear && c.grep == nil {
		return // Next reads memory itself
	}
	w := &worker{feed: c, follower: c.follower, at: c.at, batch: c.batch}
	if c.follower.startWorker(w) {
		c.working, c.batch = true, nil
	}
}

// Prefill waits until Next has a batch or all lines that are there were searched,
// or until ctx is done: for long polling, before the head of the response.
func (c *Feed) Prefill(ctx context.Context) {
	changed := make(chan struct{}, 1)
	c.mu.Lock()
	wake := c.wake
	c.mu.Unlock()
	c.Notify(func() { wakeUp(changed); wake() })
	for c.isPrefilling() {
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// isPrefilling moves the first position to what was searched in vain.
func (c *Feed) isPrefilling() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.working || len(c.batch) > 0 {
		return false
	}
	c.first = c.at.String()
	return c.isSearching()
}

// offer gives the feed a batch of its worker, and the id up to which it has read, when
// there is room. It is false if the feed or the follower has ended.
func (c *Feed) offer(batch [][]byte, at lineID) bool {
	for {
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return false
		}
		if len(c.batch) == 0 {
			wasSearching := c.goal == nil || c.at.before(*c.goal)
			c.batch, c.at = batch, at
			if len(batch) > 0 || wasSearching && !c.isSearching() {
				c.wake()
			}
			c.mu.Unlock()
			return true
		}
		c.mu.Unlock()
		select {
		case <-c.room:
		case <-c.stop:
		case <-c.follower.closing:
			return false
		}
	}
}

// Close releases what the feed holds, at once; a worker that is reading ends
// when it has read. wake is not called any more.
func (c *Feed) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.closed, c.batch = true, nil
	close(c.stop)
	c.follower.leave(c)
}
