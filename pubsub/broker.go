package pubsub

import (
	"context"
	"errors"
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
	Subscribe(channels []string, start Start) *Subscription
}

// A Receipt says what became of a published event.
type Receipt struct {
	ID        ID
	Delivered int // subscriptions in this process that the event has reached
}
