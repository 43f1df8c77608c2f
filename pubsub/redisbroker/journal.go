package redisbroker

import (
	"context"
	"fmt"

	"example.com/sse-demo/pubsub"
)

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
