package market

import (
	"encoding/json"
	"strconv"
	"sync"
	"time"

	"example.com/sse-demo/sse"
)

// A Market lets clients follow prices. Those who follow the same symbol at the
// same interval share a timer and the newest frame. The zero value is ready.
type Market struct {
	mu    sync.Mutex
	feeds map[feedKey]*feed // that have followers
}

type feedKey struct {
	symbol   string
	interval int64 // ms
}

// A feed is guarded by the lock of its market.
type feed struct {
	feedKey
	cursors []*Cursor
	timer   *time.Timer
	n       int64 // number of the tick that the followers were told of
	frame   []byte
}

// join adds the cursor to its feed.
func (m *Market) join(c *Cursor, key feedKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.feeds[key]
	if f == nil {
		f = &feed{feedKey: key}
		f.timer = time.AfterFunc(f.untilNext(), func() { m.tell(f) })
		if m.feeds == nil {
			m.feeds = map[feedKey]*feed{}
		}
		m.feeds[key] = f
	}
	c.market, c.feed = m, f
	c.place = len(f.cursors)
	f.cursors = append(f.cursors, c)
}

// leave puts the last cursor in the place of the one that leaves.
func (m *Market) leave(c *Cursor) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := c.feed
	last := len(f.cursors) - 1
	f.cursors[c.place] = f.cursors[last]
	f.cursors[c.place].place = c.place
	f.cursors[last] = nil
	f.cursors = f.cursors[:last]
	if last == 0 {
		f.timer.Stop()
		delete(m.feeds, f.feedKey)
	}
}

// tell wakes the followers for a new tick.
func (m *Market) tell(f *feed) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(f.cursors) == 0 {
		return // the last one has just left
	}
	for _, c := range f.cursors {
		c.wake()
	}
	f.timer.Reset(f.untilNext())
}

// newest is the number of the tick of this moment.
func (k feedKey) newest() int64 { return time.Now().UnixMilli() / k.interval }

func (k feedKey) untilNext() time.Duration {
	return time.Until(time.UnixMilli((k.newest() + 1) * k.interval))
}

// frameOf encodes tick n, or gives the one that it has encoded last.
func (m *Market) frameOf(f *feed, n int64) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f.n != n || f.frame == nil {
		f.n, f.frame = n, encode(f.feedKey, n)
	}
	return f.frame
}

func encode(k feedKey, n int64) []byte {
	data, err := json.Marshal(At(k.symbol, n, k.interval))
	if err != nil {
		panic(err) // finite numbers always marshal
	}
	frame, err := sse.Event{ID: strconv.FormatInt(n, 10), Name: "tick", Data: data}.Append(nil)
	if err != nil {
		panic(err) // digits are a valid id
	}
	return frame
}
