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
	// firstCount is how many entries the first read asks for, maxCount how many any
	// asks for.
	firstCount, maxCount = 64, 1000
	// targetBytes is about how much one read brings.
	targetBytes = 1 << 20
	// anchorChannel is that of entries that hold no event. Publish refuses it.
	anchorChannel = "_anchor"
)

// An entry is one of the stream.
type entry struct {
	id                  pubsub.ID
	channel, name, data string
	total               int64 // -1 if it is not one of ours
}

// load fills the mirror with what the stream keeps, from where it was.
func (b *Broker) load(ctx context.Context) error {
	for {
		entries, err := parse(b.reads.XRangeN(ctx, b.options.Key, "("+b.last.String(), "+", b.count).Result())
		switch {
		case err != nil:
			return err
		case len(entries) > 0:
			if b.last == (pubsub.ID{}) {
				b.mirror.Lose(entries[0].id.Previous()) // here the order begins
			}
			b.take(entries)
		case b.last != pubsub.ID{}:
			return nil
		default:
			if err := b.anchor(ctx); err != nil {
				return err
			}
		}
	}
}

// follow keeps the mirror up to date until ctx ends.
func (b *Broker) follow(ctx context.Context) {
	for ctx.Err() == nil {
		err := b.read(ctx)
		if ctx.Err() == nil {
			b.health.read(err)
		}
		if err != nil {
			pause(ctx, b.options.timing.retry)
		}
	}
}

// read waits for entries and takes them.
func (b *Broker) read(ctx context.Context) error {
	streams, err := b.reads.XRead(ctx, &redis.XReadArgs{
		Streams: []string{b.options.Key, b.last.String()}, Count: b.count, Block: b.options.timing.block,
	}).Result()
	if errors.Is(err, redis.Nil) {
		return b.checkPosition(ctx)
	}
	if err == nil && len(streams) != 1 {
		err = fmt.Errorf("%d streams came, one was asked for", len(streams))
	}
	if err != nil {
		return err
	}
	entries, err := parse(streams[0].Messages, nil)
	b.take(entries)
	return err
}

// checkPosition is for the silence in which XREAD waits for entries after one that
// is gone, because Redis has lost it: new ones might come before it, unseen. An
// entry is added that comes after it.
func (b *Broker) checkPosition(ctx context.Context) error {
	last := b.last.String()
	still, err := b.reads.XRange(ctx, b.options.Key, last, last).Result()
	if err == nil && len(still) == 0 {
		return b.anchor(ctx)
	}
	return err
}

// anchor appends an entry that holds no event, so that there is one to read on from.
func (b *Broker) anchor(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, b.options.timing.publish)
	defer cancel()
	_, err := b.add(limited, b.last, anchorChannel, "", &sentData{})
	return err
}

// take appends entries to the mirror.
func (b *Broker) take(entries []entry) {
	if len(entries) == 0 {
		return
	}
	bytes := 0
	for _, e := range entries {
		b.checkTotal(e)
		delivered := b.takeOne(e)
		bytes += len(e.data)
		b.mu.Lock()
		b.last = e.id
		if arrived := b.arrival[e.id]; arrived != nil {
			arrived <- delivered
			delete(b.arrival, e.id)
		}
		b.mu.Unlock()
	}
	b.endSyncs()
	b.adapt(len(entries), bytes)
}

// checkTotal finds out whether entries before e are missing: XREAD says nothing of
// what was trimmed or lost. The totals of two entries that follow each other differ
// by the size of the second.
func (b *Broker) checkTotal(e entry) {
	if e.total < 0 {
		return
	}
	if b.total >= 0 && e.total-size(e.channel, e.name, e.data) != b.total {
		b.options.Logger.Warn("Redis no longer has the events that follow; subscribers get a gap", "after", b.last, "next", e.id)
		b.mirror.Lose(e.id.Previous())
	}
	b.total = e.total
}

// takeOne returns how many subscriptions the event has reached.
func (b *Broker) takeOne(e entry) int {
	if e.channel == anchorChannel {
		return 0
	}
	if e.channel == "" {
		b.options.Logger.Error("an entry of the Redis stream is not an event; it is skipped", "id", e.id)
		return 0
	}
	delivered, err := b.mirror.Append(e.id, e.channel, e.name, []byte(e.data))
	if err != nil {
		b.options.Logger.Error("an entry of the Redis stream is not an event; it is skipped", "id", e.id, "error", err)
	}
	return delivered
}

// adapt makes the next read bring about targetBytes: a slow line then shows
// progress often, and memory holds little.
func (b *Broker) adapt(entries, bytes int) {
	if bytes < targetBytes/2 && int64(entries) == b.count {
		b.count = min(2*b.count, maxCount)
	} else if bytes > targetBytes {
		b.count = max(b.count*targetBytes/int64(bytes), 1)
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
		if text, ok := m.Values[totalField].(string); ok {
			if total, err := strconv.ParseInt(text, 10, 64); err == nil {
				e.total = total
			}
		}
		entries = append(entries, e)
	}
	return entries, nil
}
