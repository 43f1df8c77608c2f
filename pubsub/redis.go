package pubsub

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/rs/zerolog"

	"example.com/sse-demo/sse"
)

const (
	// StreamKey is the key of the Redis Stream that holds the events of all
	// channels.
	StreamKey = "sse-demo:events"
	// StreamEvents is about how many of them Redis keeps: what a replica may miss
	// while it is cut off, and what a new one can replay.
	StreamEvents = 100_000

	// publishTimeout is how long a publisher waits for Redis.
	publishTimeout = 1500 * time.Millisecond
	// startTimeout is how long Start waits for a Redis that is not there yet.
	startTimeout = 5 * time.Second
)

// Fields of an entry of the Redis Stream.
const (
	channelField = "c"
	nameField    = "n"
	dataField    = "d"
)

// Redis is a Broker over any number of processes: one Redis Stream is the log of
// all channels, and each process mirrors it in memory (see [Memory]). An event's
// id is that of its entry. Subscribers read the mirror only, so however many
// come back at once, Redis does not notice.
type Redis struct {
	endpoint endpoint
	pool     *redis.Pool // to publish over
	log      zerolog.Logger
	mirror   *Memory
	stop     context.CancelFunc
	done     sync.WaitGroup

	// What follows is guarded by the lock of the mirror.
	last    ID                      // of the newest entry that the mirror has
	round   uint64                  // of reading; see settle
	ahead   map[*Subscription]ahead // those that wait for the mirror
	arrival map[ID]chan int         // of events published here that the mirror has yet to get
	err     error                   // why Redis cannot be used now
}

// NewRedis returns a broker that mirrors up to maxEvents events a channel and
// maxBytes over all. It is to be started before use. The address is like
// redis://user:password@host:6379/0, or rediss: for TLS, or unix:.
func NewRedis(address string, maxEvents, maxBytes int, log zerolog.Logger) (*Redis, error) {
	endpoint, err := parseRedisURL(address)
	if err != nil {
		return nil, err
	}
	return &Redis{
		endpoint: endpoint, pool: endpoint.newPool(), log: log, mirror: NewMemory(maxEvents, maxBytes), stop: func() {},
		ahead: map[*Subscription]ahead{}, arrival: map[ID]chan int{},
	}, nil
}

// Start loads what the stream keeps, and then follows it until Close. A Redis
// that is not there yet is waited for, a few seconds.
func (r *Redis) Start(ctx context.Context) error {
	patience, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err := r.load(patience)
	for isTransient(err) && pause(patience, retryPause) {
		err = r.load(patience)
	}
	if err != nil {
		return fmt.Errorf("cannot use Redis at %s: %w", r.endpoint.address, plain(err))
	}
	ctx, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	r.done.Go(func() { r.follow(ctx) })
	return nil
}

// Close stops following. No one may publish any more.
func (r *Redis) Close() {
	r.stop()
	r.done.Wait()
	_ = r.pool.Close() // nothing is lost with a connection
}

// Publish implements [Broker]. An event is accepted when Redis has it; an error
// says that it may not have it. The answer waits until the mirror of this
// process has the event, too.
func (r *Redis) Publish(ctx context.Context, channel, name string, data []byte) (Receipt, error) {
	if _, err := (sse.Event{Name: name}).Append(nil); err != nil {
		return Receipt{}, fmt.Errorf("publish to %q: %w", channel, err)
	}
	limited, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	text, err := redis.String(r.do(limited, "XADD", StreamKey, "MAXLEN", "~", StreamEvents, "*",
		channelField, channel, nameField, name, dataField, data))
	if err != nil {
		if ctx.Err() == nil { // it is Redis, not the publisher, that has left
			r.note(err)
		}
		return Receipt{}, fmt.Errorf("publish to %q: %w", channel, plain(err))
	}
	id, ok := ParseID(text)
	if !ok {
		return Receipt{}, fmt.Errorf("publish to %q: Redis gave the id %q", channel, text)
	}
	return Receipt{ID: id, Delivered: r.awaitArrival(limited, id, channel)}, nil
}

// awaitArrival waits until the mirror has the event, and returns how many
// subscribers of this process it has reached.
func (r *Redis) awaitArrival(ctx context.Context, id ID, channel string) int {
	arrived := make(chan int, 1)
	r.mirror.mu.Lock()
	late := r.last.Compare(id) >= 0
	if !late {
		r.arrival[id] = arrived
	}
	r.mirror.mu.Unlock()
	if !late {
		select {
		case reached := <-arrived:
			return reached
		case <-ctx.Done(): // Redis has it; the mirror will
		}
	}
	r.mirror.mu.Lock()
	defer r.mirror.mu.Unlock()
	delete(r.arrival, id)
	if c := r.mirror.channels[channel]; c != nil {
		return len(c.subs)
	}
	return 0
}

// Subscribers implements [Broker]; it counts those of this process.
func (r *Redis) Subscribers() map[string]int { return r.mirror.Subscribers() }

// Observe implements [Broker]. The events that Redis keeps are seen in Start.
func (r *Redis) Observe(channel string, see func(id ID, name string, data []byte)) {
	r.mirror.Observe(channel, see)
}

// Kind implements [Broker].
func (r *Redis) Kind() string { return "redis" }

// Err implements [Broker].
func (r *Redis) Err() error {
	r.mirror.mu.RLock()
	defer r.mirror.mu.RUnlock()
	return r.err
}

// note keeps how an attempt to use Redis went, and logs a change.
func (r *Redis) note(err error) {
	r.mirror.mu.Lock()
	before := r.err
	r.err = err
	r.mirror.mu.Unlock()
	switch {
	case before == nil && err != nil:
		r.log.Error().Err(plain(err)).Msg("Redis is away; streams stay open, publishing is refused until it is back")
	case before != nil && err == nil:
		r.log.Info().Msg("Redis is back")
	}
}
