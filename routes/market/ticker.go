package market

import (
	"encoding/json"
	"sync"
	"time"

	"example.com/sse-demo/sse"
)

// A Market lets clients follow prices. The zero value is ready.
type Market struct {
	mu      sync.Mutex
	tickers map[key]*ticker  // that have feeds
	now     func() time.Time // nil for time.Now
}

type key struct {
	symbol   string
	interval int64 // ms
}

// A ticker is what the feeds of one symbol and interval share: a timer and the
// frame that was encoded last. The lock of its market guards it.
type ticker struct {
	key
	market *Market
	feeds  map[*Feed]struct{}
	timer  *time.Timer
	n      int64 // number of the tick in cached
	cached []byte
}

// join adds the feed to its ticker, which begins with its first feed.
func (m *Market) join(f *Feed, k key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tickers[k]
	if t == nil {
		t = &ticker{key: k, market: m, feeds: map[*Feed]struct{}{}}
		_, wait := t.newest()
		t.timer = time.AfterFunc(wait, t.notify)
		if m.tickers == nil {
			m.tickers = map[key]*ticker{}
		}
		m.tickers[k] = t
	}
	f.ticker = t
	t.feeds[f] = struct{}{}
}

// leave removes the feed, and its ticker if it was the last.
func (t *ticker) leave(f *Feed) {
	t.market.mu.Lock()
	defer t.market.mu.Unlock()
	delete(t.feeds, f)
	if len(t.feeds) == 0 {
		t.timer.Stop()
		delete(t.market.tickers, t.key)
	}
}

// notify wakes the feeds for a new tick.
func (t *ticker) notify() {
	t.market.mu.Lock()
	defer t.market.mu.Unlock()
	if len(t.feeds) == 0 {
		return // the last one has just left
	}
	for f := range t.feeds {
		f.wake()
	}
	_, wait := t.newest()
	t.timer.Reset(wait)
}

// newest returns the number of the present tick by the wall clock, which may be set
// back, and the time until the next.
func (t *ticker) newest() (n int64, wait time.Duration) {
	now := time.Now()
	if t.market.now != nil {
		now = t.market.now()
	}
	n = now.UnixMilli() / t.interval
	return n, time.UnixMilli((n + 1) * t.interval).Sub(now)
}

// frame encodes tick n, unless it was the last to be encoded.
func (t *ticker) frame(n int64) []byte {
	t.market.mu.Lock()
	defer t.market.mu.Unlock()
	if t.cached == nil || t.n != n {
		data, err := json.Marshal(At(t.symbol, n, t.interval))
		if err != nil {
			panic(err) // finite numbers always marshal
		}
		t.n, t.cached = n, sse.MustFrame(sse.Event{ID: id(n), Name: "tick", Data: data})
	}
	return t.cached
}
