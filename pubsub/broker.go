package pubsub

import (
	"context"
	"errors"

	"example.com/sse-demo/sse"
)

// Why a broker that depends on others did not confirm an event. Publishing again
// after ErrUnconfirmed may publish the event twice.
var (
	// ErrNotPublished means that the event was not published and never will be.
	ErrNotPublished = errors.New("pubsub: not published")
	// ErrUnconfirmed means that the event was sent, but that no answer came, or that
	// it was not seen to arrive: it may still appear.
	ErrUnconfirmed = errors.New("pubsub: not confirmed")
)

// A Broker accepts events and gives them to subscribers. It is safe for
// concurrent use.
type Broker interface {
	// Publish appends an event to a channel. name is the event's, or "". An error
	// wraps sse.ErrInvalidField if name is invalid or the broker does not allow the
	// channel, and otherwise ErrNotPublished or ErrUnconfirmed.
	Publish(ctx context.Context, channel, name string, data []byte) (Receipt, error)
	// Subscribe returns a subscription to the channels, to be closed after use.
	Subscribe(channels []string, start Start) Subscription
}

// A Subscription is a position in one or more channels, and an [sse.Source]: Next gives
// what follows the position, a gap event first if events were lost, and then events in the
// order of their ids. Position is the id after which it begins; with a gap, the one right
// before the oldest event that follows. Its errors are nil: a channel does not end. One
// goroutine may use it.
type Subscription interface {
	sse.Source
	// Behind reports whether something that was there when the subscription began, an
	// event or a gap, is yet to be given by Next.
	Behind() bool
	// Close ends the subscription. Closing it again does nothing.
	Close()
}

// A Receipt is the result of publishing an event.
type Receipt struct {
	ID        ID
	Delivered int // subscriptions in this process that the event has reached
}

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
