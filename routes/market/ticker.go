package market

import (
	"encoding/json"
	"sync"
	"time"

	"example.com/sse-demo/sse"
)

// A Market lets clients follow prices. Feeds of the same symbol and interval share
// a timer and the newest frame. The zero value is ready.
type Market struct {
	mu      sync.Mutex
	tickers map[key]*ticker // that have feeds
}

type key struct {
	symbol   string
	interval int64 // ms
}

// A ticker wakes the feeds of one symbol and interval. It is guarded by the lock of
// its market.
type ticker struct {
	key
	market *Market
	feeds  []*Feed
	timer  *time.Timer
	n      int64 // number of the tick that encoded holds
	cached []byte
}

// join adds the feed to its ticker, which begins with its first feed.
func (m *Market) join(f *Feed, k key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tickers[k]
	if t == nil {
		t = &ticker{key: k, market: m}
		t.timer = time.AfterFunc(t.untilNext(), t.notify)
		if m.tickers == nil {
			m.tickers = map[key]*ticker{}
		}
		m.tickers[k] = t
	}
	f.ticker, f.index = t, len(t.feeds)
	t.feeds = append(t.feeds, f)
}

// leave removes the feed by moving the last one to its index.
func (m *Market) leave(f *Feed) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := f.ticker
	last := len(t.feeds) - 1
	t.feeds[f.index] = t.feeds[last]
	t.feeds[f.index].index = f.index
	t.feeds[last] = nil
	t.feeds = t.feeds[:last]
	if last == 0 {
		t.timer.Stop()
		delete(m.tickers, t.key)
	}
}

// notify wakes the feeds for a new tick.
func (t *ticker) notify() {
	t.market.mu.Lock()
	defer t.market.mu.Unlock()
	if len(t.feeds) == 0 {
		return // the last one has just left
	}
	for _, f := range t.feeds {
		f.wake()
	}
	t.timer.Reset(t.untilNext())
}

// newest is the number of the present tick.
func (k key) newest() int64 { return time.Now().UnixMilli() / k.interval }

func (k key) untilNext() time.Duration {
	return time.Until(time.UnixMilli((k.newest() + 1) * k.interval))
}

// frame encodes tick n, or returns the one that was encoded last.
func (t *ticker) frame(n int64) []byte {
	t.market.mu.Lock()
	defer t.market.mu.Unlock()
	if t.cached == nil || t.n != n {
		t.n, t.cached = n, encode(t.key, n)
	}
	return t.cached
}

func encode(k key, n int64) []byte {
	data, err := json.Marshal(At(k.symbol, n, k.interval))
	if err != nil {
		panic(err) // finite numbers always marshal
	}
	return sse.MustFrame(sse.Event{ID: id(n), Name: "tick", Data: data})
}
