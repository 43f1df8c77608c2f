package pubsub

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// readBlock is how long one read waits for entries, and so how soon a Redis
	// that has stopped answering is noticed.
	readBlock = time.Second
	// readBatch is how many entries one read brings at the most.
	readBatch = 1000
	// clockSkew is how far the clocks of this process and of Redis may be apart.
	clockSkew = time.Minute
	// anchorChannel is that of entries which say nothing. No client can name it.
	anchorChannel = "_anchor"
)

// load fills the mirror with what the stream keeps.
func (r *Redis) load(ctx context.Context) error {
	for {
		entries, err := r.reader.XRangeN(ctx, StreamKey, "("+r.last.String(), "+", readBatch).Result()
		switch {
		case err != nil:
			return err
		case len(entries) > 0:
			r.take(entries, false)
		case r.last != ID{}:
			return nil
		default:
			if err := r.plant(ctx); err != nil {
				return err
			}
		}
	}
}

// follow keeps the mirror up to date until ctx ends.
func (r *Redis) follow(ctx context.Context) {
	for ctx.Err() == nil {
		err := r.read(ctx)
		if err == nil && r.Err() != nil { // it is back only when publishing works, too
			err = r.client.Ping(ctx).Err()
		}
		if ctx.Err() != nil {
			return
		}
		r.note(err)
		if err != nil {
			pause(ctx, retryPause)
		}
	}
}

// read waits for entries and takes them. XREAD alone cannot tell that entries
// between the last one and those it returns have been trimmed. So it asks in the
// same round trip, after them, whether the last one is still there: trimming
// begins at the oldest, so if it is, nothing is missing behind it.
func (r *Redis) read(ctx context.Context) error {
	r.mirror.mu.Lock()
	r.round++
	last := r.last.String()
	r.mirror.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, readBlock+publishTimeout)
	defer cancel()
	pipe := r.reader.Pipeline()
	next := pipe.XRead(ctx, &redis.XReadArgs{Streams: []string{StreamKey, last}, Count: readBatch, Block: readBlock})
	still := pipe.XRange(ctx, StreamKey, last, last)
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("read the stream: %w", err)
	}
	if len(still.Val()) == 0 {
		return r.skip(ctx)
	}
	var entries []redis.XMessage
	for _, stream := range next.Val() {
		entries = stream.Messages
	}
	r.take(entries, false)
	return nil
}

// skip goes on after entries that were trimmed before this process has read
// them, or after Redis has lost its data.
func (r *Redis) skip(ctx context.Context) error {
	after := "(" + r.last.String()
	entries, err := r.reader.XRangeN(ctx, StreamKey, after, "+", readBatch).Result()
	if err == nil && len(entries) == 0 {
		if err = r.plant(ctx); err == nil {
			entries, err = r.reader.XRangeN(ctx, StreamKey, after, "+", readBatch).Result()
		}
	}
	if err != nil {
		return fmt.Errorf("read the stream after a loss: %w", err)
	}
	if len(entries) > 0 {
		r.log.Warn().Str("after", r.last.String()).Str("oldest", entries[0].ID).
			Msg("Redis no longer has the events that follow; subscribers are told of a gap")
		r.take(entries, true)
	}
	return nil
}

// plant appends an entry, so that there is always one to stand at, and one whose
// id is above all that the mirror has: a Redis that has lost its data, and whose
// clock is behind, would otherwise give out ids that are below.
func (r *Redis) plant(ctx context.Context) error {
	entry := &redis.XAddArgs{
		Stream: StreamKey, ID: ID{r.last[0], r.last[1] + 1}.String(),
		Values: []any{channelField, anchorChannel, nameField, "", dataField, ""},
	}
	err := r.reader.XAdd(ctx, entry).Err()
	if _, refused := errors.AsType[redis.Error](err); refused { // as the stream is beyond that id
		entry.ID = "*"
		err = r.reader.XAdd(ctx, entry).Err()
	}
	return err
}

// take appends entries to the mirror; lost says that there were others before
// them.
func (r *Redis) take(entries []redis.XMessage, lost bool) {
	m := r.mirror
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, entry := range entries {
		id, ok := ParseID(entry.ID)
		if !ok {
			r.log.Error().Str("id", entry.ID).Msg("an entry of the Redis stream has a strange id; it is skipped")
			continue
		}
		if lost && i == 0 {
			m.lose(id.before())
		}
		r.takeOne(id, entry.Values)
		r.last = id
	}
	r.settle(len(entries) < readBatch)
}

func (r *Redis) takeOne(id ID, values map[string]any) {
	channel, ok := values[channelField].(string)
	name, okName := values[nameField].(string)
	data, okData := values[dataField].(string)
	if !ok || !okName || !okData {
		r.log.Error().Stringer("id", id).Msg("an entry of the Redis stream is not one of ours; it is skipped")
		return
	}
	if channel == anchorChannel {
		return
	}
	reached, err := r.mirror.add(id, channel, name, []byte(data))
	if err != nil {
		r.log.Error().Err(err).Stringer("id", id).Msg("an entry of the Redis stream is no event; it is skipped")
	}
	if arrived := r.arrival[id]; arrived != nil {
		arrived <- reached
		delete(r.arrival, id)
	}
}

// lose forgets all events, and tells all subscribers that those up to id are
// missing.
func (m *Memory) lose(id ID) {
	m.forgotten = id
	for _, c := range m.channels {
		before := c.size()
		c.lose(id)
		m.bytes += c.size() - before
		if c.used != nil {
			m.kept.Remove(c.used)
			c.used, c.ring = nil, nil
		}
		m.forgetUnused(c)
	}
}
