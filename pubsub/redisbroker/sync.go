package redisbroker

import (
	"context"
	"fmt"
	"slices"

	"example.com/sse-demo/pubsub"
)

// A waiter waits until the stream is read up to an id.
type waiter struct {
	id   pubsub.ID
	done chan struct{}
}

// Sync implements [pubsub.Broker].
func (b *Broker) Sync(ctx context.Context) error {
	newest, err := b.commands.XRevRangeN(ctx, b.options.Key, "+", "-", 1).Result()
	if err != nil {
		return fmt.Errorf("sync: %w", plain(err))
	}
	if len(newest) == 0 {
		return nil
	}
	if err := b.awaitPosition(ctx, newest[0].ID); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	return nil
}

// awaitPosition waits until the stream is read up to the entry of this id.
func (b *Broker) awaitPosition(ctx context.Context, text string) error {
	id, ok := pubsub.ParseID(text)
	if !ok {
		return fmt.Errorf("an entry has the id %q", text)
	}
	w := waiter{id, make(chan struct{})}
	b.mu.Lock()
	behind := b.last.Compare(id) < 0
	if behind {
		b.syncs = append(b.syncs, w)
	}
	b.mu.Unlock()
	if !behind {
		return nil
	}
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		b.mu.Lock()
		defer b.mu.Unlock()
		b.syncs = slices.DeleteFunc(b.syncs, func(other waiter) bool { return other == w })
		return fmt.Errorf("this process has not read %s: %w", id, ctx.Err())
	}
}

// endSyncs wakes the callers of Sync that have waited for what was read.
func (b *Broker) endSyncs() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.syncs = slices.DeleteFunc(b.syncs, func(w waiter) bool {
		if w.id.Compare(b.last) > 0 {
			return false
		}
		close(w.done)
		return true
	})
}
