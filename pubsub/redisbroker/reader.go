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
	total               int64 // -1 if it is not one of ours
}

// load fills the mirror with what the stream keeps, from where it was.
func (b *Broker) load(ctx context.Context) error {
	b.count = firstCount
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
			if err := b.anchor(ctx, ""); err != nil {
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
			b.count = firstCount
			pause(ctx, b.options.timing.retry)
		}
	}
}

// read waits for entries and takes them.
func (b *Broker) read(ctx context.Context) error {
	streams, err := b.reads.XRead(ctx, &redis.XReadArgs{
		Streams: []string{b.options.Key, b.last.String()}, Count: b.count, Block: b.options.timing.block,
	}).Result()
	silent := errors.Is(err, redis.Nil)
	if err != nil && !silent {
		return err
	}
	if b.unchecked.Swap(false) || silent {
		if err := b.checkPosition(ctx); err != nil {
			b.unchecked.Store(true)
			return err
		}
	}
	if silent {
		return nil
	}
	if len(streams) != 1 {
		return fmt.Errorf("%d streams came, one was asked for", len(streams))
	}
	entries, err := parse(streams[0].Messages, nil)
	b.take(entries)
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

// takeOne returns how many subscriptions the event has reached.
func (b *Broker) takeOne(e entry) int {
	if e.channel == anchorChannel {
		b.checkAnchor(e)
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
