package redisbroker

import (
	"context"
	"errors"
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
			s.health.read(err)
		}
		if err != nil {
			s.count = firstCount
			relocate(ctx, s.reads)
			pause(ctx, s.options.timing.retry)
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
		s.sink.loseBefore(entries[0].id) // here the order begins
	}
	if s.unchecked.Swap(false) || len(entries) == 0 || !s.follows(entries[0]) {
		s.mayHaveLost(last)
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
	// The next read is to bring about targetBytes: a slow line then shows progress often,
	// and memory holds little.
	if bytes < targetBytes/2 && int64(len(entries)) == s.count {
		s.count = min(2*s.count, maxCount)
	} else if bytes > targetBytes {
		s.count = max(s.count*targetBytes/int64(bytes), 1)
	}
}

// takeOne returns how many subscriptions the event has reached.
func (s *stream) takeOne(e entry) int {
	if e.channel == anchorChannel {
		s.checkAnchor(e)
		return 0
	}
	err := s.check(e)
	delivered := 0
	if err == nil {
		delivered, err = s.sink.append(e)
	}
	if err != nil {
		s.skip(e, err)
	}
	return delivered
}
