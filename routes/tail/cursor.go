package tail

import (
	"math"
	"regexp"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

// A Cursor is a client's position in a followed file.
type Cursor struct {
	follower *Follower
	grep     *regexp.Regexp // nil for all lines

	// Either live, in the lines that the follower has in memory,
	live    *pubsub.Subscription
	entries []pubsub.Entry
	// or catching up, in a file
	behind *generation
	reader *lineReader
	// or neither, before a gap.
	after string // the id that the gap is after

	moved *pubsub.ID // the place to resume at, where memory has moved past it
	wake  func()
}

// Follow returns a cursor, to be closed after use: right after lastEventID, or
// where that is empty, before the last lines of the file. Where grep is not nil
// only lines that match it are given, also of those last ones.
func (f *Follower) Follow(lines int, grep *regexp.Regexp, lastEventID string) *Cursor {
	c := &Cursor{follower: f, grep: grep, after: lastEventID, wake: func() {}}
	if lastEventID == "" {
		c.begin(lines)
	} else if id, ok := pubsub.ParseID(lastEventID); ok && id != (pubsub.ID{}) {
		c.resume(id)
	}
	return c
}

// begin goes before the last n lines, which are read from the file.
func (c *Cursor) begin(n int) {
	f := c.follower
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.current != nil && n > 0 {
		start, err := backfillStart(f.current.file, f.end, n, maxBackfill)
		if err == nil && start < f.end && c.readFrom(start) == nil {
			return
		}
	}
	c.live = f.lines.Subscribe(pubsub.Start{})
}

// resume goes right after the place id, in memory or in the file. Where neither
// has it, the cursor is before a gap.
func (c *Cursor) resume(id pubsub.ID) {
	c.after = id.String()
	if c.attach(id) {
		return
	}
	f := c.follower
	f.mu.Lock()
	defer f.mu.Unlock()
	offset := int64(min(id[1], math.MaxInt64))
	if f.current == nil || offset > f.end || c.readFrom(offset) != nil {
		return
	}
	if c.reader.pos() != id {
		c.leaveFile()
	}
}

// attach goes live where memory has the place id.
func (c *Cursor) attach(id pubsub.ID) (ok bool) {
	c.live, ok = c.follower.lines.SubscribeAfter(id)
	if ok {
		c.live.Notify(c.wake)
	}
	return ok
}

// readFrom goes to the offset in the current file. It needs the follower's lock,
// like leaveFile.
func (c *Cursor) readFrom(offset int64) (err error) {
	g := c.follower.current
	if c.reader, err = newLineReader(g.file, g.inode, offset); err != nil {
		return err
	}
	c.behind = g
	g.users++
	return nil
}

func (c *Cursor) leaveFile() {
	if c.behind != nil {
		c.follower.leave(c.behind)
		c.behind, c.reader = nil, nil
	}
}

// Notify makes the cursor call wake, from any goroutine, when there may be more
// than Next has given: at once, where there already is.
func (c *Cursor) Notify(wake func()) {
	c.wake = wake
	if c.live != nil {
		c.live.Notify(wake)
	} else {
		wake()
	}
}

// MayBlock reports whether Next may have to wait for a disk.
func (c *Cursor) MayBlock() bool { return c.live == nil }

// Next appends the frames of the next lines, after a gap event where lines are
// lost. The error is always nil.
func (c *Cursor) Next(frames [][]byte) ([][]byte, error) {
	if c.live != nil {
		frames = c.nextLive(frames)
	} else {
		frames = c.nextOld(frames)
		c.wake() // there is more, in the file or in memory
	}
	return frames, nil
}

func (c *Cursor) nextOld(frames [][]byte) [][]byte {
	if c.moved != nil {
		id := *c.moved
		c.moved = nil
		c.resume(id)
		return frames
	}
	if c.behind != nil {
		return c.nextInFile(frames)
	}
	return c.nextAfterGap(frames)
}

func (c *Cursor) nextLive(frames [][]byte) [][]byte {
	entries, ok := c.live.Read(c.entries[:0])
	if !ok { // memory has moved past this client, but the file may still have its place
		last := c.live.Last()
		c.live.Close()
		c.live, c.moved = nil, &last
		c.wake()
		return frames
	}
	frames = c.filter(frames, entries)
	clear(entries)
	c.entries = entries
	return frames
}

func (c *Cursor) filter(frames [][]byte, entries []pubsub.Entry) [][]byte {
	for _, e := range entries {
		if c.wants(e.Frame) {
			frames = append(frames, e.Frame)
		}
	}
	return frames
}

func (c *Cursor) wants(frame []byte) bool {
	return c.grep == nil || c.grep.Match(sse.FrameData(frame))
}

func (c *Cursor) nextInFile(frames [][]byte) [][]byte {
	more, err := c.reader.next(c.limit(), func(id pubsub.ID, frame []byte) {
		if c.after = id.String(); c.wants(frame) {
			frames = append(frames, frame)
		}
	})
	// Only a place right after a whole line may be in memory, but every other is
	// not found there.
	if attached := err == nil && c.attach(c.reader.pos()); attached || err != nil || !more {
		c.follower.mu.Lock()
		c.leaveFile()
		c.follower.mu.Unlock()
	}
	return frames
}

// limit is how far the file may be read: not beyond the follower, whose lines
// are then in memory; a file that was rotated away, to its end.
func (c *Cursor) limit() int64 {
	c.follower.mu.Lock()
	defer c.follower.mu.Unlock()
	if c.behind == c.follower.current {
		return c.follower.end
	}
	return math.MaxInt64
}

func (c *Cursor) nextAfterGap(frames [][]byte) [][]byte {
	c.live = c.follower.lines.Subscribe(pubsub.Start{Replay: keptLines})
	c.live.Notify(c.wake)
	entries, _ := c.live.Read(nil)
	oldest := ""
	if len(entries) > 0 {
		oldest = entries[0].ID.String()
	}
	frames = append(frames, sse.AppendGap(nil, c.after, oldest))
	return c.filter(frames, entries)
}

// Close gives back what the cursor holds.
func (c *Cursor) Close() {
	if c.live != nil {
		c.live.Close()
	}
	c.follower.mu.Lock()
	defer c.follower.mu.Unlock()
	c.leaveFile()
}
