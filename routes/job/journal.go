package job

import (
	"context"
	"sync"

	"example.com/sse-demo/pubsub"
)

// A Journal is the one order of everything that happens to jobs. The managers of all
// replicas write to it and read all of it, so they come to the same result. It is safe
// for concurrent use.
type Journal interface {
	// Publish appends a message. It returns when this replica has observed it. After
	// an error the message may still appear.
	Publish(ctx context.Context, name string, data []byte) error
	// Observe passes every message to see, in order, and before Publish returns. see
	// must not call the journal. Call Observe before anything is published.
	Observe(see func(id pubsub.ID, name string, data []byte))
	// Sync returns when this replica has observed every message that was published
	// anywhere before the call. It writes nothing.
	Sync(ctx context.Context) error
	// Err returns why messages cannot be published at present; nil if they can.
	Err() error
}

// NewJournal returns a journal in memory, for a service of one process. It keeps
// nothing: the managers keep what they need.
func NewJournal() Journal { return &memoryJournal{last: pubsub.ID{}.Next()} }

type memoryJournal struct {
	mu        sync.Mutex
	last      pubsub.ID
	observers []func(pubsub.ID, string, []byte)
}

func (j *memoryJournal) Publish(_ context.Context, name string, data []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last = j.last.Next()
	for _, see := range j.observers {
		see(j.last, name, data)
	}
	return nil
}

func (j *memoryJournal) Observe(see func(id pubsub.ID, name string, data []byte)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.observers = append(j.observers, see)
}

func (j *memoryJournal) Sync(context.Context) error { return nil }

func (j *memoryJournal) Err() error { return nil }
