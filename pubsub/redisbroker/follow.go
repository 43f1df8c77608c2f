package redisbroker

import (
	"cmp"
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
	// maxCount is how many entries a read asks for at most. The first one, and any after
	// one that has failed, asks for a single entry: a line that is cut again and again may
	// carry no more.
	maxCount = 1000
	// targetBytes is about how much one read brings. A slow line then shows progress often,
	// and memory holds little.
	targetBytes = 1 << 20
	// skipLogInterval is the time between two log lines about entries that are skipped.
	skipLogInterval = time.Minute
)

// follow reads the stream until ctx ends.
func (s *stream) follow(ctx context.Context) {
	for ctx.Err() == nil {
		if _, err := s.read(ctx, s.options.timing.block); err != nil && ctx.Err() == nil {
			s.note(err)
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
		s.count = 1
		return 0, err
	}
	var entries []entry
	for _, stream := range streams { // there is one
		for _, message := range stream.Messages {
			entries = append(entries, parse(message))
		}
	}
	if len(entries) > 0 && last == (pubsub.ID{}) {
		s.loseBefore(entries[0].id) // here the order begins
	}
	if s.unchecked.Swap(false) || len(entries) == 0 || !s.follows(entries[0]) {
		s.suspect = cmp.Or(s.suspect, last)
	}
	if err := s.checkSuspect(ctx); err != nil {
		return 0, err
	}
	s.take(entries)
	return len(entries), nil
}

// take passes entries on.
func (s *stream) take(entries []entry) {
	arrived, bytes := make([]arrival, len(entries)), int64(0)
	for i, e := range entries {
		s.checkTotal(e)
		arrived[i] = arrival{e.id, s.takeOne(e)}
		bytes += e.size
	}
	s.arrivals.add(arrived)
	if n := int64(len(entries)); n > 0 {
		s.count = max(min(n*targetBytes/bytes, 2*s.count, maxCount), 1)
	}
}

// takeOne returns how many subscriptions the event has reached.
func (s *stream) takeOne(e entry) (delivered int) {
	if e.channel == anchorChannel && e.total >= 0 {
		if lost, ok := pubsub.ParseID(e.data); ok && lost.Compare(s.lost) >= 0 {
			s.lose(e) // another process has read entries that Redis has lost
		}
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
			"id", e.id, "error", err, "skipped", s.skipped)
	}
	return 0
}

// checkSuspect looks for the suspect in Redis. A process that never read the entry cannot
// notice its loss, so check.lua records the loss in the stream. It is run by reads, because
// the two clients may be connected to different servers.
//
// While Redis accepts no writes, the entry stays suspect: such a Redis may be a replica
// that is about to take over the entries of another master.
func (s *stream) checkSuspect(ctx context.Context) error {
	if s.suspect == (pubsub.ID{}) {
		return nil
	}
	_, err := s.run(ctx, s.reads, checkScript, s.suspect.String())
	if isRefusal(err) {
		return nil
	}
	if err == nil {
		s.suspect = pubsub.ID{}
	}
	return err
}

// follows reports whether no entries are missing between e and the one that was read
// before it: XREAD does not report what was trimmed or lost. The totals of two entries
// differ by the sizes of those that come after the first, up to the second. An entry of
// another program has no total; the next one that has includes its size.
func (s *stream) follows(e entry) bool {
	return s.total < 0 || e.total < 0 || e.total-e.size == s.total
}

// maxLooked is as in shared.lua.
const maxLooked = 40 << 20

// checkTotal gives subscribers a gap if entries before e are missing.
func (s *stream) checkTotal(e entry) {
	if !s.follows(e) {
		s.lose(e)
	}
	if e.total >= 0 {
		s.total, s.others = e.total, 0
		return
	}
	s.others += e.size
	if s.others >= maxLooked || s.total < 0 { // the scripts do not look further back for a total
		s.total = -1
	} else {
		s.total += e.size
	}
}

// lose gives all subscribers a gap before e.
func (s *stream) lose(e entry) {
	s.options.Logger.Warn("Redis no longer has entries that come before this one; subscribers get a gap", "id", e.id)
	s.lost = e.id
	s.loseBefore(e.id)
}

// arrivals notes what this process has read of the stream, for those that wait for an entry.
type arrivals struct {
	mu     sync.Mutex
	recent []arrival     // the newest entries, some thousands
	more   chan struct{} // closed when entries have come
}

type arrival struct {
	id        pubsub.ID
	delivered int // subscriptions of this process that it has reached
}

// position is the id of the newest entry that was read.
func (a *arrivals) position() pubsub.ID {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.recent) == 0 {
		return pubsub.ID{}
	}
	return a.recent[len(a.recent)-1].id
}

// add notes that entries were read.
func (a *arrivals) add(entries []arrival) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.recent) >= 8*maxCount {
		a.recent = slices.Delete(a.recent, 0, 4*maxCount)
	}
	a.recent = append(a.recent, entries...)
	close(a.more)
	a.more = make(chan struct{})
}

// await waits until the stream is read up to an id. If there is an entry of this id, it
// returns how many subscriptions the entry has reached; one that is not among those that
// were read is lost.
func (a *arrivals) await(ctx context.Context, id pubsub.ID) (delivered int, isLost bool, err error) {
	for {
		a.mu.Lock()
		i, found := slices.BinarySearchFunc(a.recent, id, func(r arrival, id pubsub.ID) int { return r.id.Compare(id) })
		isRead, more := i < len(a.recent), a.more
		if found {
			delivered = a.recent[i].delivered
		}
		a.mu.Unlock()
		if isRead {
			return delivered, !found && i > 0, nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return 0, false, fmt.Errorf("this process has not read %s: %w", id, ctx.Err())
		}
	}
}
