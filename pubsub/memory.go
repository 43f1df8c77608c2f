package pubsub

import "context"

// Memory is a Broker in one process.
type Memory struct{ channels channels }

// NewMemory returns a broker that keeps up to maxEvents events a channel, and
// maxBytes over all. The newest event of the channel that was used last is always
// kept. The order of its ids begins now: any older id begins with a gap.
func NewMemory(maxEvents, maxBytes int) *Memory {
	m := new(Memory)
	m.channels.init(maxEvents, maxBytes)
	m.channels.begin = ID{}.Next()
	m.channels.newest = m.channels.begin
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
	return m.channels.subscribe(channels, start)
}

// Subscribers counts the subscriptions of each channel that has any, of up to limit
// channels. It is quick, however many channels there are.
func (m *Memory) Subscribers(limit int) map[string]int { return m.channels.subscribers(limit) }
