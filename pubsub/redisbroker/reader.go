package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"strconv"

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
	// anchorChannel is that of entries that hold no event. Publish refuses it. If
	// the data is an id, events up to it were lost.
	anchorChannel = "_anchor"
)

// An entry is one of the stream.
type entry struct {
	id                  pubsub.ID
	channel, name, data string
	size                int64 // that it counts
	total               int64 // of the sizes of all entries up to it; -1 if it was not published by a replica
}

// load takes what the stream keeps, from where it was.
func (s *stream) load(ctx context.Context) error {
	s.count = firstCount
	for {
		entries, err := parse(s.reads.XRangeN(ctx, s.options.Key, "("+s.arrivals.position().String(), "+", s.count).Result())
		switch {
		case err != nil:
			return err
		case len(entries) > 0:
			if s.arrivals.position() == (pubsub.ID{}) {
				s.sink.loseBefore(entries[0].id) // here the order begins
			}
			s.take(entries)
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
		err := s.read(ctx)
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

// read waits for entries and takes them.
func (s *stream) read(ctx context.Context) error {
	streams, err := s.reads.XRead(ctx, &redis.XReadArgs{
		Streams: []string{s.options.Key, s.arrivals.position().String()}, Count: s.count, Block: s.options.timing.block,
	}).Result()
	silent := errors.Is(err, redis.Nil)
	if err != nil && !silent {
		return err
	}
	var entries []entry
	if !silent {
		if len(streams) != 1 {
			return fmt.Errorf("%d streams came, one was asked for", len(streams))
		}
		if entries, err = parse(streams[0].Messages, nil); err != nil {
			return err
		}
	}
	if s.unchecked.Swap(false) || silent || !s.follows(entries[0]) {
		s.mayHaveLost()
	}
	if err := s.checkSuspect(ctx); err != nil {
		return err
	}
	s.take(entries)
	return nil
}

// take passes entries on.
func (s *stream) take(entries []entry) {
	if len(entries) == 0 {
		return
	}
	bytes := 0
	for _, e := range entries {
		s.checkTotal(e)
		s.arrivals.add(e.id, s.takeOne(e))
		bytes += len(e.data)
	}
	s.adapt(len(entries), bytes)
}

// takeOne returns how many subscriptions the event has reached.
func (s *stream) takeOne(e entry) int {
	if e.channel == anchorChannel {
		s.checkAnchor(e)
		return 0
	}
	if e.channel == "" {
		s.options.Logger.Error("an entry of the Redis stream is not an event; it is skipped", "id", e.id)
		return 0
	}
	delivered, err := s.sink.append(e)
	if err != nil {
		s.options.Logger.Error("an entry of the Redis stream is not an event; it is skipped", "id", e.id, "error", err)
	}
	return delivered
}

// adapt makes the next read bring about targetBytes: a slow line then shows
// progress often, and memory holds little.
func (s *stream) adapt(entries, bytes int) {
	if bytes < targetBytes/2 && int64(entries) == s.count {
		s.count = min(2*s.count, maxCount)
	} else if bytes > targetBytes {
		s.count = max(s.count*targetBytes/int64(bytes), 1)
	}
}

// parse returns the entries of an answer.
func parse(messages []redis.XMessage, err error) ([]entry, error) {
	if err != nil {
		return nil, err
	}
	entries := make([]entry, 0, len(messages))
	for _, m := range messages {
		id, ok := pubsub.ParseID(m.ID)
		if !ok {
			return entries, fmt.Errorf("an entry of the stream has the id %q", m.ID)
		}
		e := entry{id: id, total: -1}
		e.channel, _ = m.Values[channelField].(string)
		e.name, _ = m.Values[nameField].(string)
		e.data, _ = m.Values[dataField].(string)
		e.size = size(e.channel, e.name, e.data)
		if text, ok := m.Values[totalField].(string); ok {
			if total, err := strconv.ParseInt(text, 10, 64); err == nil {
				e.total = total
			}
		}
		entries = append(entries, e)
	}
	return entries, nil
}
