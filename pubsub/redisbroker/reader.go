package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
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
	// anchorChannel is that of entries that hold no event. Publish refuses it. If
	// the data is an id, events up to it were lost.
	anchorChannel = "_anchor"
	// skipLogInterval is the time between two log lines about entries that are skipped.
	skipLogInterval = time.Minute
)

// An entry is one of the stream.
type entry struct {
	id                  pubsub.ID
	channel, name, data string
	hasData             bool
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
	err := s.check(e)
	if err == nil {
		var delivered int
		if delivered, err = s.sink.append(e); err == nil {
			return delivered
		}
	}
	s.skipped++
	if time.Since(s.lastSkip) >= skipLogInterval {
		s.lastSkip = time.Now()
		s.options.Logger.Warn("an entry of the Redis stream is not an event; it is skipped",
			"key", s.options.Key, "id", e.id, "error", err, "skipped", s.skipped)
	}
	return 0
}

// check returns why an entry is not an event. Publish has checked those of replicas.
func (s *stream) check(e entry) error {
	switch {
	case e.channel == "":
		return fmt.Errorf("it has no channel in the field %q", channelField)
	case !e.hasData:
		return fmt.Errorf("it has no data in the field %q", dataField)
	case e.total >= 0 || s.options.Check == nil:
		return nil
	default:
		return s.options.Check(e.channel, e.name, []byte(e.data))
	}
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
		entries = append(entries, parseEntry(id, m.Values))
	}
	return entries, nil
}

func parseEntry(id pubsub.ID, fields map[string]any) entry {
	e := entry{id: id, total: -1}
	var bytes int64
	for name, value := range fields {
		text, _ := value.(string)
		switch name {
		case totalField:
			if total, err := strconv.ParseUint(text, 10, 63); err == nil {
				e.total = int64(total)
			}
			continue
		case channelField:
			e.channel = text
		case nameField:
			e.name = text
		case dataField:
			e.data, e.hasData = text, true
		}
		bytes += int64(len(text))
	}
	e.size = size(bytes)
	return e
}
