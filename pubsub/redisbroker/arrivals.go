package redisbroker

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"example.com/sse-demo/pubsub"
)

// arrivals notes what this process has read of the stream, and wakes those that wait for
// an entry.
type arrivals struct {
	mu      sync.Mutex
	last    pubsub.ID         // of the newest entry that was read
	recent  [maxCount]arrival // the newest entries, in a ring
	read    int               // entries so far
	waiters []waiter
}

type arrival struct {
	id        pubsub.ID
	delivered int // subscriptions of this process that it has reached
}

// A waiter waits until the stream is read up to an id.
type waiter struct {
	id   pubsub.ID
	done chan struct{}
}

// position is the id of the newest entry that was read.
func (a *arrivals) position() pubsub.ID {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}

// add notes that an entry was read.
func (a *arrivals) add(id pubsub.ID, delivered int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = id
	a.recent[a.read%maxCount] = arrival{id, delivered}
	a.read++
	a.waiters = slices.DeleteFunc(a.waiters, func(w waiter) bool {
		if w.id.Compare(id) > 0 {
			return false
		}
		close(w.done)
		return true
	})
}

// await waits until the stream is read up to the entry of this id.
func (a *arrivals) await(ctx context.Context, id pubsub.ID) error {
	w := waiter{id, make(chan struct{})}
	a.mu.Lock()
	isHere := a.last.Compare(id) >= 0
	if !isHere {
		a.waiters = append(a.waiters, w)
	}
	a.mu.Unlock()
	if isHere {
		return nil
	}
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		a.mu.Lock()
		defer a.mu.Unlock()
		a.waiters = slices.DeleteFunc(a.waiters, func(other waiter) bool { return other == w })
		return fmt.Errorf("this process has not read %s: %w", id, ctx.Err())
	}
}

// delivered is how many subscriptions an entry has reached that was read lately.
func (a *arrivals) delivered(id pubsub.ID) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	for n := a.read - 1; n >= max(a.read-maxCount, 0); n-- {
		if r := a.recent[n%maxCount]; r.id == id {
			return r.delivered
		}
	}
	return 0
}
