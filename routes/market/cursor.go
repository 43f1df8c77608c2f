package market

import (
	"encoding/json"
	"strconv"
	"time"

	"example.com/sse-demo/sse"
)

// MaxReplay is how many missed ticks a client that comes back gets.
const MaxReplay = 100

// A Cursor is a position in the ticks of one symbol at one interval.
type Cursor struct {
	symbol   string
	interval int64 // ms
	last     int64 // number of the tick that was read last
	given    string
	lost     bool // what follows given is not known
	ready    chan struct{}
	timer    *time.Timer
}

// Follow returns a cursor, to be closed after use: after the tick lastEventID,
// or, where that is empty, just before the newest.
func Follow(symbol string, interval time.Duration, lastEventID string) *Cursor {
	c := &Cursor{symbol: symbol, interval: interval.Milliseconds(), given: lastEventID, ready: make(chan struct{}, 1)}
	c.timer = time.AfterFunc(interval, c.wake)
	newest := c.newest()
	c.last = newest - 1
	if lastEventID == "" {
		return c
	}
	n, err := strconv.ParseInt(lastEventID, 10, 64)
	// A replica whose clock is a little ahead may have given one tick more.
	c.lost = err != nil || strconv.FormatInt(n, 10) != lastEventID || n < 0 || n > newest+1
	c.last = n
	if c.lost {
		c.last = newest - MaxReplay
	}
	return c
}

func (c *Cursor) newest() int64 { return time.Now().UnixMilli() / c.interval }

func (c *Cursor) wake() {
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

// Ready receives when there may be a new tick.
func (c *Cursor) Ready() <-chan struct{} { return c.ready }

// Next appends the frames of the ticks since the last call, the newest MaxReplay
// of them, after a gap event where there were more. The error is always nil.
func (c *Cursor) Next(frames [][]byte) ([][]byte, error) {
	newest := c.newest()
	if oldest := newest - MaxReplay + 1; c.lost || c.last < oldest-1 {
		frames = append(frames, sse.AppendGap(nil, c.given, strconv.FormatInt(oldest, 10)))
		c.last, c.lost = oldest-1, false
	}
	for c.last < newest {
		c.last++
		c.given = strconv.FormatInt(c.last, 10)
		frames = append(frames, c.frame())
	}
	next := time.UnixMilli((c.last + 1) * c.interval)
	c.timer.Reset(time.Until(next))
	return frames, nil
}

func (c *Cursor) frame() []byte {
	data, err := json.Marshal(At(c.symbol, c.last, c.interval))
	if err != nil {
		panic(err) // finite numbers always marshal
	}
	frame, err := sse.Event{ID: c.given, Name: "tick", Data: data}.Append(nil)
	if err != nil {
		panic(err) // digits are a valid id
	}
	return frame
}

// Close stops the timer.
func (c *Cursor) Close() { c.timer.Stop() }
