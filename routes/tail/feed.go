package tail

import (
	"io"
	"regexp"
	"sync/atomic"
	"time"

	"example.com/sse-demo/sse"
)

// A Feed is a client's position in a followed file: a source of a stream (see
// package sse). It is safe for concurrent use.
type Feed struct {
	follower *Follower
	grep     *regexp.Regexp // nil for all lines
	first    string         // the id at which it begins
	isClosed atomic.Bool
	look     uint64 // of the follower, after which the goal is known

	// Guarded by Follower.mu.
	wake        func()
	at          lineID   // up to which all that the client wants is in batch, or was given
	goal        *lineID  // the newest line when the feed was opened; nil until it is known
	batch       [][]byte // what Next returns first
	isSearching bool     // a goroutine moves at, and fills batch
}

// Follow returns a feed, to be closed after use: right after lastEventID, or if
// that is empty, before the last lines of the file. If grep is not nil, the feed
// has only lines that match it, also of those last ones. The last lines are those
// within the last 64 MiB, in which 1,000 lines of up to [MaxLine] always fit.
//
// Follow reads the file to find its position, and without lastEventID it waits for the
// follower: call it from a goroutine that serves nothing else.
func (f *Follower) Follow(lines int, grep *regexp.Regexp, lastEventID string) *Feed {
	c := &Feed{follower: f, grep: grep, wake: func() {}, look: f.asked.Add(1)}
	select {
	case f.poke <- struct{}{}:
	default: // others have asked, too
	}
	at, isKnown := f.resume(lastEventID)
	switch {
	case isKnown:
		c.at, c.first = at, lastEventID
		return c
	case lastEventID == "":
		c.await()
		at, end := f.backfill(lines)
		c.at, c.goal = at, &end
	default:
		gap, before := f.gap(lastEventID)
		c.batch, c.at = [][]byte{gap}, before
	}
	c.first = f.position(c.at)
	return c
}

// await waits until the follower has read what was in the file when the feed was opened,
// because the last lines are counted from where it is. It gives up if the follower has not
// caught up for maxLag.
func (c *Feed) await() {
	woken := make(chan struct{}, 1)
	c.Notify(func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	})
	f := c.follower
	f.mu.Lock()
	timeout := time.After(time.Until(f.caughtUp.Add(maxLag)))
	f.mu.Unlock()
	for !c.isCaughtUp() {
		select {
		case <-woken:
		case <-timeout:
			return
		}
	}
}

// isCaughtUp reports whether the look of the feed is done, or never will be.
func (c *Feed) isCaughtUp() bool {
	c.follower.mu.Lock()
	defer c.follower.mu.Unlock()
	return c.follower.answered >= c.look || c.isOver()
}

// gap returns the gap event of a client that has lost what follows after, and the id
// before the oldest line in memory, with which it goes on.
func (f *Follower) gap(after string) (frame []byte, before lineID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	oldest := ""
	if len(f.memory.lines) > 1 {
		oldest = f.memory.lines[1].id.String()
	}
	return sse.AppendGap(nil, after, oldest), f.memory.start()
}

// Position returns the id right before what the feed has first.
func (c *Feed) Position() string { return c.first }

// Notify makes the feed call wake, from any goroutine, when Next may have more, and
// once at first. wake must neither block nor use the feed.
func (c *Feed) Notify(wake func()) {
	f := c.follower
	f.mu.Lock()
	defer f.mu.Unlock()
	if !c.isClosed.Load() {
		c.wake = wake
		f.feeds[c] = struct{}{}
		wake()
	}
}

// Next appends the frames of the next lines, up to a batch, after a gap event if
// lines are lost. It returns io.EOF if the follower has ended, and never blocks.
func (c *Feed) Next(frames [][]byte) ([][]byte, error) {
	f := c.follower
	f.mu.Lock()
	defer f.mu.Unlock()
	frames = append(frames, c.batch...)
	c.batch = nil
	if c.isOver() {
		return frames, io.EOF
	}
	if c.isSearching {
		return frames, nil
	}
	lines, isNear := f.memory.after(c.at)
	if !isNear || c.grep != nil && len(lines) > 0 {
		at := c.at
		c.isSearching = true
		f.searches.Go(func() { c.search(at) })
		return frames, nil
	}
	for _, l := range lines {
		frames = append(frames, l.frame)
		c.at = l.id
	}
	if len(lines) > 0 {
		c.wake() // there may be more
	}
	return frames, nil
}

// matches reports whether the client wants the line.
func (c *Feed) matches(l line) bool {
	if c.grep == nil {
		return true
	}
	matching <- struct{}{}
	defer func() { <-matching }()
	return c.grep.Match(sse.FrameData(l.frame))
}

// isOver reports whether the feed or its follower has ended.
func (c *Feed) isOver() bool { return c.isClosed.Load() || c.follower.ended.Load() }

// Behind reports whether the feed has yet to give something of what was in the file
// when it was opened.
func (c *Feed) Behind() bool {
	f := c.follower
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.goal == nil && f.answered >= c.look {
		end := f.memory.end()
		c.goal = &end
	}
	return !c.isOver() && (len(c.batch) > 0 || c.goal == nil || c.at.before(*c.goal))
}

// Close releases what the feed holds, at once; a search ends after the chunk that it
// is at. wake is not called any more.
func (c *Feed) Close() {
	c.isClosed.Store(true)
	c.follower.mu.Lock()
	defer c.follower.mu.Unlock()
	c.batch = nil
	delete(c.follower.feeds, c)
}
