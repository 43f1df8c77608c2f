package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/sse-demo/pubsub"
)

const (
	// firstCount is how many entries a read asks for at first, and after one that has
	// failed: a line that is cut again and again may carry no more. maxCount is how many
	// any asks for.
	firstCount, maxCount = 1, 1000
	// targetBytes is about how much one read brings.
	targetBytes = 1 << 20
	// skipLogInterval is the time between two log lines about entries that are skipped.
	skipLogInterval = time.Minute
)

// load takes everything that the stream keeps after the last entry that was read.
func (s *stream) load(ctx context.Context) error {
	s.count = firstCount
	for {
		n, err := s.read(ctx, -1)
		switch {
		case err != nil:
			return err
		case n > 0:
		case s.arrivals.position() != pubsub.ID{}:
			return nil
		default:
			if err := s.anchor(ctx, ""); err != nil {
				return err
			}
		}
	}
}

// follow reads the stream until ctx ends.
func (s *stream) follow(ctx context.Context) {
	for ctx.Err() == nil {
		_, err := s.read(ctx, s.options.timing.block)
		if ctx.Err() == nil {
			s.health.note("read", err)
		}
		if err != nil {
			s.count = firstCount
			relocate(ctx, s.reads)
			pause(ctx, retryInterval)
		}
	}
}

// read takes the entries that follow, and returns how many there were. It waits for
// some as long as block says, or if that is below 0, not at all.
func (s *stream) read(ctx context.Context, block time.Duration) (int, error) {
	last := s.arrivals.position()
	streams, err := s.reads.XRead(ctx, &redis.XReadArgs{Streams: []string{s.options.Key, last.String()}, Count: s.count, Block: block}).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return 0, err
	}
	var entries []entry
	for _, stream := range streams { // there is one
		for _, message := range stream.Messages {
			e, err := parse(message)
			if err != nil {
				return 0, err
			}
			entries = append(entries, e)
		}
	}
	if len(entries) > 0 && last == (pubsub.ID{}) {
		s.loseBefore(entries[0].id) // here the order begins
	}
	mayHaveLost := s.unchecked.Swap(false) || len(entries) == 0 || !s.follows(entries[0])
	if mayHaveLost && s.suspect == (pubsub.ID{}) {
		s.suspect = last
	}
	if err := s.checkSuspect(ctx); err != nil {
		return 0, err
	}
	s.take(entries)
	return len(entries), nil
}

// take passes entries on.
func (s *stream) take(entries []entry) {
	bytes := 0
	for _, e := range entries {
		s.checkTotal(e)
		s.arrivals.add(e.id, s.takeOne(e))
		bytes += len(e.data)
	}
	s.arrivals.wake()
	// The next read is to bring about targetBytes: a slow line then shows progress often,
	// and memory holds little.
	if bytes < targetBytes/2 && int64(len(entries)) == s.count {
		s.count = min(2*s.count, maxCount)
	} else if bytes > targetBytes {
		s.count = max(s.count*targetBytes/int64(bytes), 1)
	}
}

// takeOne returns how many subscriptions the event has reached.
func (s *stream) takeOne(e entry) (delivered int) {
	if e.channel == anchorChannel && e.total >= 0 {
		s.checkAnchor(e)
		return 0
	}
	err := s.check(e)
	if err == nil {
		delivered, err = s.append(e)
	}
	if err == nil {
		return delivered
	}
	s.skipped++
	if time.Since(s.lastSkip) >= skipLogInterval {
		s.lastSkip = time.Now()
		s.options.Logger.Warn("an entry of the Redis stream is not an event; it is skipped",
			"key", s.options.Key, "id", e.id, "error", err, "skipped", s.skipped)
	}
	return 0
}

// arrivals notes what this process has read of the stream, for those that wait for an entry.
type arrivals struct {
	mu     sync.Mutex
	recent []arrival     // the newest entries, some thousands
	more   chan struct{} // closed when entries have come; nil if nobody waits
}

type arrival struct {
	id        pubsub.ID
	delivered int // subscriptions of this process that it has reached
}

// position is the id of the newest entry that was read.
func (a *arrivals) position() pubsub.ID {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last()
}

// last needs the lock.
func (a *arrivals) last() pubsub.ID {
	if len(a.recent) == 0 {
		return pubsub.ID{}
	}
	return a.recent[len(a.recent)-1].id
}

// add notes that an entry was read.
func (a *arrivals) add(id pubsub.ID, delivered int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.recent) >= 8*maxCount {
		a.recent = slices.Delete(a.recent, 0, 4*maxCount)
	}
	a.recent = append(a.recent, arrival{id, delivered})
}

// wake wakes those that wait.
func (a *arrivals) wake() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.more != nil {
		close(a.more)
		a.more = nil
	}
}

// await waits until the stream is read up to an id. If there is an entry of this id, it
// returns how many subscriptions the entry has reached; one that is not among those that
// were read is lost.
func (a *arrivals) await(ctx context.Context, id pubsub.ID) (delivered int, isLost bool, err error) {
	for {
		a.mu.Lock()
		if a.last().Compare(id) >= 0 {
			defer a.mu.Unlock()
			i, found := slices.BinarySearchFunc(a.recent, id, func(r arrival, id pubsub.ID) int { return r.id.Compare(id) })
			if !found {
				return 0, i > 0, nil
			}
			return a.recent[i].delivered, false, nil
		}
		if a.more == nil {
			a.more = make(chan struct{})
		}
		more := a.more
		a.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return 0, false, fmt.Errorf("this process has not read %s: %w", id, ctx.Err())
		}
	}
}
