package market

import (
	"cmp"
	"encoding/json"
	"strconv"
	"sync"
	"time"

	"example.com/sse-demo/sse"
)

// MaxReplay is how many missed ticks a returning client gets.
const MaxReplay = 100

// maxAhead is how far a returning client may be ahead of the clock: a replica whose clock
// is a little ahead may have given it the next tick.
const maxAhead = 100 * time.Millisecond

// A Market lets clients follow prices.
type Market struct {
	now func() time.Time

	mu     sync.Mutex
	wakes  map[int64]map[*Feed]func() // of the feeds of each interval (ms), which share a timer
	frames map[tickKey][]byte         // encoded not long ago, for the other feeds
}

// New returns a market, which runs nothing while nobody follows it.
func New() *Market {
	return &Market{now: time.Now, wakes: map[int64]map[*Feed]func(){}, frames: map[tickKey][]byte{}}
}

// maxFrames is how many frames a Market keeps at most.
const maxFrames = 1000

type tickKey struct {
	symbol      string
	interval, n int64
}

// A Feed is a position in the ticks of one symbol at one interval; it is a source
// of package sse.
type Feed struct {
	market   *Market
	symbol   string
	interval int64  // ms
	last     int64  // number of the tick that was read last
	lost     string // the id that the client gave, if ticks after it cannot be replayed
}

// Follow returns a feed, to be closed after use: after the tick lastEventID, or
// just before the present tick if that is empty.
func (m *Market) Follow(symbol string, interval time.Duration, lastEventID string) *Feed {
	f := &Feed{market: m, symbol: symbol, interval: interval.Milliseconds()}
	newest, wait := m.newest(f.interval)
	latest := newest
	if wait <= maxAhead {
		latest++
	}
	n, err := strconv.ParseInt(lastEventID, 10, 64)
	isID := err == nil && id(n) == lastEventID && n >= 0
	switch {
	case lastEventID == "":
		f.last = newest - 1
	case isID && n >= newest-MaxReplay && n <= latest:
		f.last = n
	default:
		f.last, f.lost = max(newest-MaxReplay, 0), lastEventID
	}
	return f
}

// Notify has the feed call wake, from any goroutine, when there is more than Next
// has returned: at once, if there already is.
func (f *Feed) Notify(wake func()) {
	f.market.mu.Lock()
	if f.market.wakes[f.interval] == nil {
		f.market.wakes[f.interval] = map[*Feed]func(){}
		f.market.setTimer(f.interval)
	}
	f.market.wakes[f.interval][f] = wake
	f.market.mu.Unlock()
	if newest, _ := f.market.newest(f.interval); f.lost != "" || f.last < newest {
		wake()
	}
}

// Next appends the frames of the ticks since the last call: the newest MaxReplay
// of them, after a gap event if there were more. If the clock was set back, it goes on
// with the present tick, after a gap event, because the ids fall then. The error is
// always nil.
func (f *Feed) Next(frames [][]byte) ([][]byte, error) {
	newest, _ := f.market.newest(f.interval)
	if oldest := newest - MaxReplay; f.last < oldest { // a client that is slow
		f.lost, f.last = cmp.Or(f.lost, id(f.last)), oldest
	}
	if f.last > newest+1 { // a smaller step back is waited for
		f.lost, f.last = cmp.Or(f.lost, id(f.last)), newest-1
	}
	if f.lost != "" {
		frames = append(frames, sse.AppendGap(nil, f.lost, id(f.last+1)))
		f.lost = ""
	}
	for f.last < newest {
		f.last++
		frames = append(frames, f.market.frame(tickKey{f.symbol, f.interval, f.last}))
	}
	return frames, nil
}

// Position is the id of the tick before the first that Next returns.
func (f *Feed) Position() string { return id(f.last) }

// Close ends the feed. It calls wake no more.
func (f *Feed) Close() {
	f.market.mu.Lock()
	defer f.market.mu.Unlock()
	delete(f.market.wakes[f.interval], f)
}

// newest returns the number of the present tick by the wall clock, which may be set
// back, and the time until the next.
func (m *Market) newest(interval int64) (n int64, wait time.Duration) {
	now := m.now()
	n = now.UnixMilli() / interval
	return n, time.UnixMilli((n + 1) * interval).Sub(now)
}

// setTimer has all feeds of the interval woken at its next tick, and so on until a tick
// finds none. One timer and goroutine for all cost less than one for each feed. It needs
// the lock.
func (m *Market) setTimer(interval int64) {
	_, wait := m.newest(interval)
	time.AfterFunc(wait, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if len(m.wakes[interval]) == 0 {
			delete(m.wakes, interval)
			return
		}
		for _, wake := range m.wakes[interval] {
			wake()
		}
		m.setTimer(interval)
	})
}

// frame encodes a tick, unless that was done for another feed.
func (m *Market) frame(k tickKey) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if frame, ok := m.frames[k]; ok {
		return frame
	}
	data, err := json.Marshal(At(k.symbol, k.n, k.interval))
	if err != nil {
		panic(err) // finite numbers always marshal
	}
	if len(m.frames) == maxFrames {
		clear(m.frames)
	}
	m.frames[k] = sse.MustFrame(sse.Event{ID: id(k.n), Name: "tick", Data: data})
	return m.frames[k]
}

func id(n int64) string { return strconv.FormatInt(n, 10) }
