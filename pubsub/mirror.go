package pubsub

import "time"

// clockSkew is how far the clocks of the replicas, and that of whatever gives out
// their ids, may be apart.
const clockSkew = time.Minute

// NewMirror returns a Memory that another broker feeds with events that have an id
// already, by [Memory.Append] and [Memory.Lose]. Do not publish to it. Its limits
// are those of [NewMemory].
func NewMirror(maxEvents, maxBytes int) *Memory {
	m := NewMemory(maxEvents, maxBytes)
	m.begin, m.clock, m.skew = ID{}, Clock{}, clockSkew
	return m
}

// Append adds an event whose id is above all before it. It returns how many
// subscriptions the event has reached; an error wraps sse.ErrField.
func (m *Memory) Append(id ID, channel, name string, data []byte) (delivered int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clock.last = id
	return m.add(id, channel, name, data)
}

// Lose says that events up to id may be missing: all subscriptions before it get a
// gap, and so does a client that resumes before it. What is kept stays. The first
// call says where the order begins.
func (m *Memory) Lose(id ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.begin == (ID{}) {
		m.begin = id
	}
	if m.clock.last.Compare(id) < 0 {
		m.clock.last = id
	}
	m.dropped.forgetAll(id)
	for _, c := range m.channels {
		c.lose(id)
	}
}

// Last is the newest id that is known: that of the newest event, or that up to
// which events are lost.
func (m *Memory) Last() ID {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.clock.last
}
