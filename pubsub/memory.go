package pubsub

import (
	"container/list"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"example.com/sse-demo/sse"
)

// Memory is a Broker in one process.
type Memory struct {
	mu        notifier
	maxEvents int
	skew      time.Duration // by which the clocks that ids come from may be ahead of this one
	clock     Clock
	begin     ID                  // what came before is unknown
	channels  map[string]*channel // those with events or subscribers
	history   history
	dropped   dropped
	observers map[string][]func(ID, string, []byte)
}

type channel struct {
	*Log
	name    string
	element *list.Element // in history.channels; nil if the channel has no events
}

// NewMemory returns a broker that keeps up to maxEvents events a channel, and
// maxBytes over all. The newest event of the channel that was used last is always
// kept. The order of its ids begins now: any older id begins with a gap.
func NewMemory(maxEvents, maxBytes int) *Memory {
	m := &Memory{
		maxEvents: maxEvents,
		channels:  map[string]*channel{}, observers: map[string][]func(ID, string, []byte){},
		history: history{maxBytes: maxBytes}, dropped: newDropped(maxBytes / droppedShare),
	}
	m.begin = m.clock.Next()
	return m
}

// Publish implements [Broker]. It fails only if name is invalid.
func (m *Memory) Publish(_ context.Context, channel, name string, data []byte) (Receipt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := m.clock.Next()
	delivered, err := m.add(id, channel, name, data)
	return Receipt{ID: id, Delivered: delivered}, err
}

// add returns how many subscriptions the event has reached.
func (m *Memory) add(id ID, channel, name string, data []byte) (int, error) {
	if observers := m.observers[channel]; observers != nil {
		for _, see := range observers {
			see(id, name, data)
		}
		return 0, nil
	}
	frame, err := encode(id, name, data)
	if err != nil {
		return 0, fmt.Errorf("publish to %q: %w", channel, err)
	}
	return m.append(channel, Entry{id, frame}), nil
}

func encode(id ID, name string, data []byte) ([]byte, error) {
	const fields = 48 // bytes of an id and of the names of the fields
	return sse.Event{ID: id.String(), Name: name, Data: data}.Append(make([]byte, 0, fields+len(name)+len(data)))
}

func (m *Memory) append(name string, e Entry) int {
	c := m.channel(name)
	before := c.size()
	c.append(e)
	m.history.bytes += c.size() - before
	m.history.use(c)
	m.evict(c)
	return len(c.subs)
}

// Subscribe implements [Broker].
func (m *Memory) Subscribe(channels []string, start Start) *Subscription {
	m.mu.Lock()
	defer m.mu.Unlock()
	used := make([]*channel, 0, len(channels))
	logs := make([]*Log, 0, len(channels))
	for _, name := range channels {
		c := m.channel(name)
		if slices.Contains(used, c) {
			continue
		}
		if c.element != nil {
			m.history.use(c)
		}
		used, logs = append(used, c), append(logs, c.Log)
	}
	s := subscribe(&m.mu, logs, start, m.order())
	s.closed = func() {
		for _, c := range used {
			m.removeUnused(c)
		}
	}
	return s
}

func (m *Memory) order() order {
	latest := ID{uint64(time.Now().Add(m.skew).UnixMilli()), math.MaxUint64}
	if m.clock.last.Compare(latest) > 0 {
		latest = m.clock.last
	}
	return order{begin: m.begin, newest: m.clock.last, latest: latest}
}

// Subscribers implements [Broker].
func (m *Memory) Subscribers() map[string]int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	counts := map[string]int{}
	for name, c := range m.channels {
		if len(c.subs) > 0 {
			counts[name] = len(c.subs)
		}
	}
	return counts
}

// SubscribersOf counts the subscriptions of one channel.
func (m *Memory) SubscribersOf(channel string) int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if c := m.channels[channel]; c != nil {
		return len(c.subs)
	}
	return 0
}

// Observe implements [Broker].
func (m *Memory) Observe(channel string, see func(id ID, name string, data []byte)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.observers[channel] = append(m.observers[channel], see)
}

// Sync implements [Broker]: what was published is here.
func (m *Memory) Sync(context.Context) error { return nil }

// Kind implements [Broker].
func (m *Memory) Kind() string { return "memory" }

// Err implements [Broker]: memory is always there.
func (m *Memory) Err() error { return nil }

// channel returns the channel of that name. One that was dropped as a whole begins
// after the last event that it had.
func (m *Memory) channel(name string) *channel {
	c := m.channels[name]
	if c == nil {
		c = &channel{Log: newLog(&m.mu, m.maxEvents, 0, m.dropped.take(name)), name: name}
		m.channels[name] = c
	}
	return c
}

// removeUnused removes a channel that has neither events nor subscribers.
func (m *Memory) removeUnused(c *channel) {
	if c.len() == 0 && len(c.subs) == 0 {
		delete(m.channels, c.name)
		m.dropped.add(c.name, c.dropped)
	}
}
