package redisbroker

import (
	"context"
	"fmt"
	"time"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

// clockSkew is how far the clocks of the processes, and Redis's, may be apart.
const clockSkew = time.Minute

// A Broker is a pubsub.Broker over any number of processes.
type Broker struct {
	*stream
	replica *pubsub.Replica
}

// New returns a broker, to be started before use.
func New(o Options) (*Broker, error) {
	o = o.withDefaults()
	replica := pubsub.NewReplica(o.ReplicaEvents, o.ReplicaBytes, clockSkew, nil)
	stream, err := newStream(o,
		func(e entry) (delivered int, err error) {
			return replica.Append(e.id, e.channel, e.name, []byte(e.data))
		},
		func(id pubsub.ID) { replica.LoseBefore(id) },
	)
	if err != nil {
		return nil, err
	}
	return &Broker{stream, replica}, nil
}

// Publish implements [pubsub.Broker]. It returns when Redis has the event and this
// process has read it, or after less than two seconds. That Redis has it is not
// enough: a failover may lose it, and only a process that has read it notices.
func (b *Broker) Publish(ctx context.Context, channel, name string, data []byte) (pubsub.Receipt, error) {
	if channel == "" || channel == anchorChannel {
		return pubsub.Receipt{}, fmt.Errorf("publish: %w: channel %q", sse.ErrInvalidField, channel)
	}
	if _, err := (sse.Event{Name: name}).Append(nil); err != nil {
		return pubsub.Receipt{}, fmt.Errorf("publish to %q: %w", channel, err)
	}
	receipt, err := b.publish(ctx, channel, name, data)
	if err != nil {
		err = fmt.Errorf("publish to %q: %w", channel, err)
	}
	return receipt, err
}

// Subscribe implements [pubsub.Broker].
func (b *Broker) Subscribe(channels []string, start pubsub.Start) pubsub.Subscription {
	return b.replica.Subscribe(channels, start)
}

// Subscribers counts the subscriptions of this process, as pubsub.Memory does.
func (b *Broker) Subscribers(limit int) map[string]int { return b.replica.Subscribers(limit) }
