package pubsub

import "context"

// A Broker takes events in and hands them to subscribers.
type Broker interface {
	// Publish appends an event to a channel. name is the event's, or "". After an
	// error that wraps sse.ErrField the event is at fault; after any other the
	// broker did not accept it, and trying again may help.
	Publish(ctx context.Context, channel, name string, data []byte) (Receipt, error)
	// Subscribe returns a cursor into the channels, to be closed after use.
	Subscribe(channels []string, start Start) *Subscription
	// Subscribers counts the subscriptions of each channel that has any.
	Subscribers() map[string]int
	// Observe hands every event of a channel to see instead of keeping it: in
	// order, and in this process before Publish returns. see must not call the
	// broker. Observe before anything is published.
	Observe(channel string, see func(id ID, name string, data []byte))
	// Kind is "memory" or "redis".
	Kind() string
	// Err says why the broker takes no events at present; nil where it does.
	Err() error
}

// A Receipt tells a publisher what became of its event.
type Receipt struct {
	ID        ID
	Delivered int // subscribers of the channel in this process
}
