package pubsub

import (
	"container/list"
	"context"
	"fmt"
	"slices"

	"example.com/sse-demo/sse"
)

// channelSize is counted for a channel on top of its events: the log, its place
// in the map and in the list.
const channelSize = 512

// Memory is a Broker in one process.
type Memory struct {
	mu        crier
	maxEvents int
	maxBytes  int
	clock     Clock
	channels  map[string]*channel // those with events or subscribers
	kept      list.List           // of *channel, those with events, most recently used first
	bytes     int                 // that kept channels are counted with
	forgotten ID                  // the newest id in a channel that was dropped as a whole
	observers map[string][]func(ID, string, []byte)
}

type channel struct {
	*Log
	name string
	used *list.Element // in Memory.kept, or nil
}

// NewMemory returns a broker that keeps up to maxEvents events a channel, and
// maxBytes over all. The newest event of the channel that was used last is always
// kept.
func NewMemory(maxEvents, maxBytes int) *Memory {
	return &Memory{
		maxEvents: maxEvents, maxBytes: maxBytes,
		channels: map[string]*channel{}, observers: map[string][]func(ID, string, []byte){},
	}
}

// Publish implements [Broker]. It fails only where name is not one that an event
// can have.
func (m *Memory) Publish(_ context.Context, channel, name string, data []byte) (Receipt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := m.clock.Next()
	reached, err := m.add(id, channel, name, data)
	return Receipt{ID: id, Delivered: reached}, err
}

// add takes in an event, whoever has given it its id. It returns how many
// subscribers it has reached.
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

// Observe implements [Broker].
func (m *Memory) Observe(channel string, see func(id ID, name string, data []byte)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.observers[channel] = append(m.observers[channel], see)
}

// Kind implements [Broker].
func (m *Memory) Kind() string { return "memory" }

// Err implements [Broker]: memory is always there.
func (m *Memory) Err() error { return nil }

func encode(id ID, name string, data []byte) ([]byte, error) {
	const fields = 48 // bytes of an id and of the names of the fields
	return sse.Event{ID: id.String(), Name: name, Data: data}.Append(make([]byte, 0, fields+len(name)+len(data)))
}

// append returns how many subscribers the event has reached.
func (m *Memory) append(name string, e Entry) int {
	c := m.channel(name)
	before := c.size()
	c.append(e)
	m.bytes += c.size() - before
	m.touch(c)
	m.evict(c)
	return len(c.subs)
}

// Subscribe implements [Broker].
func (m *Memory) Subscribe(channels []string, start Start) *Subscription {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.subscribe(channels, start)
}

func (m *Memory) subscribe(channels []string, start Start) *Subscription {
	used := make([]*channel, 0, len(channels))
	logs := make([]*Log, 0, len(channels))
	for _, name := range channels {
		c := m.channel(name)
		if slices.Contains(used, c) {
			continue
		}
		if c.used != nil {
			m.touch(c)
		}
		used, logs = append(used, c), append(logs, c.Log)
	}
	s := subscribe(&m.mu, logs, start)
	s.closed = func() {
		for _, c := range used {
			m.forgetUnused(c)
		}
	}
	return s
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

// channel returns the channel of that name. A new one may be one that was
// dropped: it begins after all that was forgotten, so that whoever resumes from
// before that is told of a gap rather than of nothing.
func (m *Memory) channel(name string) *channel {
	c := m.channels[name]
	if c == nil {
		c = &channel{Log: newLog(&m.mu, m.maxEvents, 0, m.forgotten), name: name}
		m.channels[name] = c
	}
	return c
}

// size is what the channel counts against Memory.maxBytes.
func (c *channel) size() int {
	if c.len() == 0 {
		return 0
	}
	return channelSize + len(c.name) + c.bytes
}

func (m *Memory) touch(c *channel) {
	if c.used == nil {
		c.used = m.kept.PushFront(c)
	}
	m.kept.MoveToFront(c.used)
}

// evict drops the channels used least recently until the rest fits, and then the
// oldest events of the one in use.
func (m *Memory) evict(inUse *channel) {
	for m.bytes > m.maxBytes {
		c := m.kept.Back().Value.(*channel)
		if c == inUse && c.len() == 1 {
			return
		}
		before := c.size()
		c.drop()
		for c != inUse && c.len() > 0 {
			c.drop()
		}
		m.bytes += c.size() - before
		if c.len() == 0 {
			m.kept.Remove(c.used)
			c.used, c.ring = nil, nil
			m.forgetUnused(c)
		}
	}
}

// forgetUnused removes a channel that has neither events nor subscribers.
func (m *Memory) forgetUnused(c *channel) {
	if c.len() > 0 || len(c.subs) > 0 {
		return
	}
	delete(m.channels, c.name)
	if c.dropped.Compare(m.forgotten) > 0 {
		m.forgotten = c.dropped
	}
}
