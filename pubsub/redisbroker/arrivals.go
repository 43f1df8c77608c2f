package redisbroker

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"example.com/sse-demo/pubsub"
)

// arrivals is what this process has read of the stream, and who waits for more.
type arrivals struct {
	mu         sync.Mutex
	last       pubsub.ID              // of the newest entry that was read
	recent     [maxCount]arrival      // the newest of them, in a ring
	read       int                    // how many there have been
	publishers map[pubsub.ID]chan int // by the event that each waits for; receives how many subscriptions it has reached
	others     []waiter
}

type arrival struct {
	id        pubsub.ID
	delivered int
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

// add notes that an entry was read, which has reached so many subscriptions.
func (a *arrivals) add(id pubsub.ID, delivered int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = id
	a.recent[a.read%maxCount] = arrival{id, delivered}
	a.read++
	if arrived := a.publishers[id]; arrived != nil {
		arrived <- delivered
		delete(a.publishers, id)
	}
	a.others = slices.DeleteFunc(a.others, func(w waiter) bool {
		if w.id.Compare(id) > 0 {
			return false
		}
		close(w.done)
		return true
	})
}

// awaitEntry waits until this process has read an entry that it has published, and
// returns how many subscriptions it has reached. That may have happened before Redis
// has answered the publisher.
func (a *arrivals) awaitEntry(ctx context.Context, id pubsub.ID) (delivered int, err error) {
	arrived := make(chan int, 1)
	a.mu.Lock()
	isHere := a.last.Compare(id) >= 0
	if isHere {
		delivered = a.deliveredOf(id)
	} else {
		a.publishers[id] = arrived
	}
	a.mu.Unlock()
	if isHere {
		return delivered, nil
	}
	select {
	case delivered := <-arrived:
		return delivered, nil
	case <-ctx.Done():
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.publishers, id)
		return 0, ctx.Err()
	}
}

// deliveredOf looks for an entry, beginning at the newest. It needs the lock.
func (a *arrivals) deliveredOf(id pubsub.ID) int {
	for n := a.read - 1; n >= max(a.read-maxCount, 0); n-- {
		if r := a.recent[n%maxCount]; r.id == id {
			return r.delivered
		}
	}
	return 0
}

// awaitPosition waits until the stream is read up to the entry of this id.
func (a *arrivals) awaitPosition(ctx context.Context, text string) error {
	id, ok := pubsub.ParseID(text)
	if !ok {
		return fmt.Errorf("an entry has the id %q", text)
	}
	w := waiter{id, make(chan struct{})}
	a.mu.Lock()
	isHere := a.last.Compare(id) >= 0
	if !isHere {
		a.others = append(a.others, w)
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
		a.others = slices.DeleteFunc(a.others, func(other waiter) bool { return other == w })
		return fmt.Errorf("this process has not read %s: %w", id, ctx.Err())
	}
}
