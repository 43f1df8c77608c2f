package filebroker

import (
	"context"

	"example.com/sse-demo/pubsub"
)

// A Journal is the one order of what happens to jobs, as routes/job needs it, in the
// file of a broker. It keeps the newest messages, up to half of what the broker keeps
// and 1 MiB.
type Journal struct {
	broker    *Broker
	observers []func(id pubsub.ID, name string, data []byte)
	kept      []message // oldest first
	bytes     int       // of them
}

type message struct {
	id   pubsub.ID
	size int
}

// messageSize is counted for a message on top of its data.
const messageSize = 64

// Publish appends a message. It returns when the message is on the disk and was
// observed.
func (j *Journal) Publish(ctx context.Context, name string, data []byte) error {
	_, err := j.broker.publish(ctx, &publication{record: record{name: name, data: data}})
	return err
}

// Observe passes every message to see, in order: those in the file when the broker is
// started, and then each that is published. Call it before that. see must not keep
// the data.
func (j *Journal) Observe(see func(id pubsub.ID, name string, data []byte)) {
	j.observers = append(j.observers, see)
}

// Sync returns at once: no other process has messages that could be missing.
func (j *Journal) Sync(context.Context) error { return nil }

// Err returns why nothing can be published at present; nil if it can.
func (j *Journal) Err() error { return j.broker.Err() }

// see passes a message to the observers, and drops the oldest if there are too many.
func (j *Journal) see(r record) {
	j.kept = append(j.kept, message{r.id, messageSize + len(r.data)})
	j.bytes += messageSize + len(r.data)
	for j.bytes > j.broker.maxJournal {
		oldest := j.kept[0]
		j.kept, j.bytes = j.kept[1:], j.bytes-oldest.size
		j.broker.dropped = append(j.broker.dropped, drop{id: oldest.id})
	}
	for _, see := range j.observers {
		see(r.id, r.name, r.data)
	}
}
