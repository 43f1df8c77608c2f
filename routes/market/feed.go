package market

import (
	"cmp"
	"strconv"
	"time"

	"example.com/sse-demo/sse"
)

// MaxReplay is how many missed ticks a returning client gets.
const MaxReplay = 100

// maxAhead is how many ticks a client may be ahead of the clock: a replica whose
// clock is a little ahead may have given it one more.
const maxAhead = 1

// A Feed is a position in the ticks of one symbol at one interval; it is a source
// of package sse.
type Feed struct {
	ticker *ticker
	wake   func()
	last   int64  // number of the tick that was read last
	lost   string // the id that the client gave, if ticks after it cannot be replayed
}

// Follow returns a feed, to be closed after use: after the tick lastEventID, or
// just before the present tick if that is empty.
func (m *Market) Follow(symbol string, interval time.Duration, lastEventID string) *Feed {
	f := &Feed{wake: func() {}}
	m.join(f, key{symbol, interval.Milliseconds()})
	newest, _ := f.ticker.newest()
	f.last = newest - 1
	if lastEventID == "" {
		return f
	}
	n, err := strconv.ParseInt(lastEventID, 10, 64)
	valid := err == nil && strconv.FormatInt(n, 10) == lastEventID && n >= 0
	if valid && n <= newest+maxAhead && n >= newest-MaxReplay {
		f.last = n
		return f
	}
	f.last, f.lost = max(newest-MaxReplay, 0), lastEventID
	return f
}

// Notify has the feed call wake, from any goroutine, when there is more than Next
// has returned: at once, if there already is.
func (f *Feed) Notify(wake func()) {
	f.ticker.market.mu.Lock()
	defer f.ticker.market.mu.Unlock()
	f.wake = wake
	if newest, _ := f.ticker.newest(); f.lost != "" || f.last < newest {
		wake()
	}
}

// Next appends the frames of the ticks since the last call: the newest MaxReplay
// of them, after a gap event if there were more. If the clock was set back, it goes on
// with the present tick, after a gap event, because the ids fall then. The error is
// always nil.
func (f *Feed) Next(frames [][]byte) ([][]byte, error) {
	newest, _ := f.ticker.newest()
	if oldest := newest - MaxReplay; f.last < oldest { // a client that is slow
		f.lost, f.last = cmp.Or(f.lost, id(f.last)), oldest
	}
	if f.last > newest+maxAhead {
		f.lost, f.last = cmp.Or(f.lost, id(f.last)), newest-1
	}
	if f.lost != "" {
		frames = append(frames, sse.AppendGap(nil, f.lost, id(f.last+1)))
		f.lost = ""
	}
	for f.last < newest {
		f.last++
		frames = append(frames, f.ticker.frame(f.last))
	}
	return frames, nil
}

// Position is the id of the tick before the first that Next returns.
func (f *Feed) Position() string { return id(f.last) }

// Close leaves the market.
func (f *Feed) Close() { f.ticker.leave(f) }

func id(n int64) string { return strconv.FormatInt(n, 10) }
