package pubsub

import "context"

// Memory is a Broker in one process.
type Memory struct{ channels *Replica }

// NewMemory returns a broker that keeps up to maxEvents events a channel, and
// maxBytes over all. The newest event of the channel that was used last is always
// kept. The order of its ids begins now: any older id begins with a gap.
func NewMemory(maxEvents, maxBytes int) *Memory {
	m := &Memory{NewReplica(maxEvents, maxBytes, 0, nil)}
	m.channels.newest = ID{}.Next()
	m.channels.dropped.addAll(m.channels.newest)
	return m
}

// Publish implements [Broker]. It fails only if name is invalid.
func (m *Memory) Publish(_ context.Context, channel, name string, data []byte) (Receipt, error) {
	m.channels.mu.Lock()
	defer m.channels.mu.Unlock()
	id := m.channels.newest.Next()
	delivered, err := m.channels.append(id, channel, name, data)
	if err != nil {
		return Receipt{}, err
	}
	return Receipt{ID: id, Delivered: delivered}, nil
}

// Subscribe implements [Broker].
func (m *Memory) Subscribe(channels []string, start Start) Subscription {
	return m.channels.Subscribe(channels, start)
}

// Subscribers counts subscriptions as [Replica.Subscribers] does.
func (m *Memory) Subscribers(limit int) map[string]int { return m.channels.Subscribers(limit) }
