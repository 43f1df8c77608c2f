package market

import (
	"strconv"
	"time"

	"example.com/sse-demo/sse"
)

// MaxReplay is how many missed ticks a client that comes back gets.
const MaxReplay = 100

// A Cursor is a position in the ticks of one symbol at one interval.
type Cursor struct {
	market *Market
	feed   *feed
	place  int // among the cursors of the feed
	wake   func()
	last   int64  // number of the tick that was read last
	given  string // where the client has come back and its id is not known
}

// Follow returns a cursor, to be closed after use: after the tick lastEventID,
// or, where that is empty, just before the newest.
func (m *Market) Follow(symbol string, interval time.Duration, lastEventID string) *Cursor {
	c := &Cursor{wake: func() {}}
	m.join(c, feedKey{symbol, interval.Milliseconds()})
	newest := c.feed.newest()
	c.last = newest - 1
	if lastEventID == "" {
		return c
	}
	n, err := strconv.ParseInt(lastEventID, 10, 64)
	// A replica whose clock is a little ahead may have given one tick more.
	if err != nil || strconv.FormatInt(n, 10) != lastEventID || n < 0 || n > newest+1 {
		c.given = lastEventID
		n = newest - MaxReplay
	}
	c.last = n
	return c
}

// Notify makes the cursor call wake, from any goroutine, when there may be more
// than Next has given: at once, where there already is.
func (c *Cursor) Notify(wake func()) {
	c.market.mu.Lock()
	defer c.market.mu.Unlock()
	c.wake = wake
	if c.given != "" || c.last < c.feed.newest() {
		wake()
	}
}

// Next appends the frames of the ticks since the last call, the newest MaxReplay
// of them, after a gap event where there were more. The error is always nil.
func (c *Cursor) Next(frames [][]byte) ([][]byte, error) {
	newest := c.feed.newest()
	if oldest := newest - MaxReplay + 1; c.given != "" || c.last < oldest-1 {
		after := c.given
		if after == "" {
			after = strconv.FormatInt(c.last, 10)
		}
		frames = append(frames, sse.AppendGap(nil, after, strconv.FormatInt(oldest, 10)))
		c.last, c.given = oldest-1, ""
	}
	for c.last < newest {
		c.last++
		frames = append(frames, c.market.frameOf(c.feed, c.last))
	}
	return frames, nil
}

// Close leaves the market.
func (c *Cursor) Close() { c.market.leave(c) }
