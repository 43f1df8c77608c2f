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
	b := new(Broker)
	var err error
	if b.stream, err = newStream(o, b); err != nil {
		return nil, err
	}
	b.replica = pubsub.NewReplica(b.options.ReplicaEvents, b.options.ReplicaBytes, clockSkew, nil)
	return b, nil
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
	id, err := b.publish(ctx, channel, name, data)
	if err != nil {
		return pubsub.Receipt{}, fmt.Errorf("publish to %q: %w", channel, err)
	}
	return pubsub.Receipt{ID: id, Delivered: b.arrivals.delivered(id)}, nil
}

// Subscribe implements [pubsub.Broker].
func (b *Broker) Subscribe(channels []string, start pubsub.Start) pubsub.Subscription {
	return b.replica.Subscribe(channels, start)
}

// Subscribers counts the subscriptions of this process, as pubsub.Memory does.
func (b *Broker) Subscribers(limit int) map[string]int { return b.replica.Subscribers(limit) }

func (b *Broker) append(e entry) (delivered int, err error) {
	return b.replica.Append(e.id, e.channel, e.name, []byte(e.data))
}

func (b *Broker) loseBefore(id pubsub.ID) { b.replica.LoseBefore(id) }
