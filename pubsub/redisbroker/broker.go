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

// journalChannel is the channel of a journal's entries.
const journalChannel = "_jobs"

// A Journal is one order of messages that every process writes to and observes. It
// keeps none of them in memory.
type Journal struct {
	*stream
	observers []func(id pubsub.ID, name string, data []byte)
}

// NewJournal returns a journal, to be started before use.
func NewJournal(o Options) (*Journal, error) {
	j := new(Journal)
	nothing := func(pubsub.ID) {} // what an observer has missed shows in what follows
	var err error
	j.stream, err = newStream(o.withDefaults(), j.observe, nothing)
	return j, err
}

// Observe passes every message to see, in order, the messages that Redis keeps
// included: those come in Start. Call it before Start. see must not call the journal.
func (j *Journal) Observe(see func(id pubsub.ID, name string, data []byte)) {
	j.observers = append(j.observers, see)
}

// Publish appends a message. It returns when Redis has it and this process has
// observed it, or after less than two seconds; an error wraps pubsub.ErrNotPublished
// or pubsub.ErrUnconfirmed.
func (j *Journal) Publish(ctx context.Context, name string, data []byte) error {
	_, err := j.publish(ctx, journalChannel, name, data)
	return err
}

// Sync returns when this process has observed every message that was published
// anywhere before the call. It writes nothing.
func (j *Journal) Sync(ctx context.Context) error {
	newest, err := j.commands.XRevRangeN(ctx, j.options.Key, "+", "-", 1).Result()
	if err == nil && len(newest) > 0 {
		_, _, err = j.arrivals.await(ctx, parse(newest[0]).id)
	}
	if err != nil {
		return fmt.Errorf("sync: %w", plain(err))
	}
	return nil
}

func (j *Journal) observe(e entry) (delivered int, err error) {
	if e.channel != journalChannel {
		return 0, fmt.Errorf("its channel is %q, not %q", e.channel, journalChannel)
	}
	for _, see := range j.observers {
		see(e.id, e.name, []byte(e.data))
	}
	return 0, nil
}
