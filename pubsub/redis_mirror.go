package pubsub

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gomodule/redigo/redis"
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
	conn, err := r.endpoint.dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	for {
		entries, err := r.following(ctx, conn)
		switch {
		case err != nil:
			return err
		case len(entries) > 0:
			r.take(entries, false)
		case r.last != ID{}:
			return nil
		default:
			if err := r.plant(ctx, conn); err != nil {
				return err
			}
		}
	}
}

// follow keeps the mirror up to date until ctx ends.
func (r *Redis) follow(ctx context.Context) {
	for ctx.Err() == nil {
		if err := r.listen(ctx); ctx.Err() == nil {
			r.note(err)
			pause(ctx, retryPause)
		}
	}
}

// listen keeps the mirror up to date until its connection fails.
func (r *Redis) listen(ctx context.Context) error {
	conn, err := r.endpoint.dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	for {
		if err := r.read(ctx, conn); err != nil {
			return fmt.Errorf("read the stream: %w", err)
		}
		if r.Err() == nil {
			continue
		}
		if _, err := r.do(ctx, "PING"); err != nil { // it is back only when publishing works, too
			return err
		}
		r.note(nil)
	}
}

// read waits for entries and takes them. XREAD alone cannot tell that entries
// between the last one and those it returns have been trimmed. So it asks in the
// same round trip, after them, whether the last one is still there: trimming
// begins at the oldest, so if it is, nothing is missing behind it.
func (r *Redis) read(ctx context.Context, conn redis.Conn) error {
	r.mirror.mu.Lock()
	r.round++
	last := r.last.String()
	r.mirror.mu.Unlock()

	err := conn.Send("XREAD", "COUNT", readBatch, "BLOCK", readBlock.Milliseconds(), "STREAMS", StreamKey, last)
	if err == nil {
		err = conn.Send("XRANGE", StreamKey, last, last)
	}
	if err != nil {
		return err
	}
	answers, err := redis.Values(redis.DoContext(conn, ctx, "")) // sends both, and has the answers of both
	if err != nil {
		return err
	}
	still, err := parseEntries(answers[1], nil)
	if err != nil {
		return err
	}
	if len(still) == 0 {
		return r.skip(ctx, conn)
	}
	entries, err := parseStream(answers[0])
	if err != nil {
		return err
	}
	r.take(entries, false)
	return nil
}

// skip goes on after entries that were trimmed before this process has read
// them, or after Redis has lost its data.
func (r *Redis) skip(ctx context.Context, conn redis.Conn) error {
	entries, err := r.following(ctx, conn)
	if err == nil && len(entries) == 0 {
		if err = r.plant(ctx, conn); err == nil {
			entries, err = r.following(ctx, conn)
		}
	}
	if err != nil {
		return fmt.Errorf("after a loss: %w", err)
	}
	if len(entries) > 0 {
		r.log.Warn().Str("after", r.last.String()).Stringer("oldest", entries[0].id).
			Msg("Redis no longer has the events that follow; subscribers are told of a gap")
		r.take(entries, true)
	}
	return nil
}

// following returns the next entries that the mirror does not have.
func (r *Redis) following(ctx context.Context, conn redis.Conn) ([]entry, error) {
	return parseEntries(redis.DoContext(conn, ctx, "XRANGE", StreamKey, "("+r.last.String(), "+", "COUNT", readBatch))
}

// plant appends an entry, so that there is always one to stand at, and one whose
// id is above all that the mirror has: a Redis that has lost its data, and whose
// clock is behind, would otherwise give out ids that are below.
func (r *Redis) plant(ctx context.Context, conn redis.Conn) error {
	add := func(id string) error {
		_, err := redis.DoContext(conn, ctx, "XADD", StreamKey, id, channelField, anchorChannel, nameField, "", dataField, "")
		return err
	}
	err := add(ID{r.last[0], r.last[1] + 1}.String())
	if _, refused := errors.AsType[redis.Error](err); refused { // as the stream is beyond that id
		err = add("*")
	}
	return err
}

// take appends entries to the mirror; lost says that there were others before
// them.
func (r *Redis) take(entries []entry, lost bool) {
	m := r.mirror
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, entry := range entries {
		if lost && i == 0 {
			m.lose(entry.id.before())
		}
		r.takeOne(entry)
		r.last = entry.id
	}
	r.settle(len(entries) < readBatch)
}

func (r *Redis) takeOne(e entry) {
	channel, name, data := e.field(channelField), e.field(nameField), e.field(dataField)
	if channel == nil || name == nil || data == nil {
		r.log.Error().Stringer("id", e.id).Msg("an entry of the Redis stream is not one of ours; it is skipped")
		return
	}
	if string(channel) == anchorChannel {
		return
	}
	reached, err := r.mirror.add(e.id, string(channel), string(name), data)
	if err != nil {
		r.log.Error().Err(err).Stringer("id", e.id).Msg("an entry of the Redis stream is no event; it is skipped")
	}
	if arrived := r.arrival[e.id]; arrived != nil {
		arrived <- reached
		delete(r.arrival, e.id)
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
