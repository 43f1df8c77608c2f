package redisbroker

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/sse-demo/pubsub"
)

// A stream is a Redis Stream that this process writes to and follows. Broker and
// Journal differ in what they do with its entries.
type stream struct {
	options  Options
	endpoint endpoint
	commands redis.UniversalClient // to publish, and for whatever is answered at once
	reads    redis.UniversalClient // to follow the stream
	health   *health
	sink     sink
	arrivals arrivals
	stop     context.CancelFunc
	done     sync.WaitGroup

	unchecked atomic.Bool // reads has a new connection; Redis may have lost events

	// Only the goroutine that follows the stream uses these.
	total    int64     // of the sizes of all entries up to the last; -1 if it is not known
	count    int64     // entries that the next read asks for
	suspect  pubsub.ID // an entry that was read, and that Redis may have lost; 0-0 for none
	lost     pubsub.ID // subscribers know that events before it may be missing
	skipped  int       // entries that were not events
	lastSkip time.Time // when that was logged
}

// A sink takes the entries of a stream in order.
type sink interface {
	append(e entry) (delivered int, err error)
	loseBefore(id pubsub.ID) // entries may be missing
}

func newStream(o Options, to sink) (*stream, error) {
	endpoint, err := parseURL(o.URL)
	if err != nil {
		return nil, fmt.Errorf("redisbroker: %w", err)
	}
	o = o.withDefaults()
	s := &stream{options: o, endpoint: endpoint, health: newHealth(o.timing, o.Logger), sink: to, stop: func() {}, total: -1}
	s.connect()
	return s, nil
}

// connect makes the clients. They connect when they are used.
func (s *stream) connect() {
	t := s.options.timing
	s.commands = s.endpoint.newClient(t.publish, t.publish, func() {})
	s.reads = s.endpoint.newClient(t.block+t.progress, t.publish, func() { s.unchecked.Store(true) })
}

// Start loads what Redis keeps, and then follows it until Close. A Redis that is not
// there yet is waited for, a few seconds; while entries come, loading may take any
// time, over as many connections as it needs.
func (s *stream) Start(ctx context.Context) error {
	began := time.Now()
	err := s.persist(ctx, func(ctx context.Context) error { return s.endpoint.inspect(ctx, s.commands) })
	if err == nil && s.endpoint.options.IsClusterMode {
		_, _ = s.reads.Close(), s.commands.Close()
		s.connect()
	}
	if err == nil {
		err = s.persist(ctx, s.load)
	}
	if err != nil {
		return fmt.Errorf("cannot use Redis at %s: %w", s.endpoint.address, plain(err))
	}
	s.options.Logger.Debug("the history is loaded from Redis", "key", s.options.Key, "took", time.Since(began))
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.done.Go(func() { s.follow(ctx) })
	s.done.Go(func() { s.health.watch(ctx, s.probe) })
	return nil
}

// persist tries something until it succeeds, or has failed for too long while no
// entries came.
func (s *stream) persist(ctx context.Context, try func(context.Context) error) error {
	for progress := time.Now(); ; {
		last, attempt := s.arrivals.position(), time.Now()
		err := try(ctx)
		if s.arrivals.position() != last {
			progress = time.Now()
		}
		if err == nil || !isTransient(err) || attempt.Sub(progress) > s.options.timing.start || !pause(ctx, s.options.timing.retry) {
			return err
		}
	}
}

// Close stops following. Nothing may be published any more.
func (s *stream) Close() {
	s.stop()
	_, _ = s.reads.Close(), s.commands.Close() // the first interrupts a read
	s.done.Wait()
}

// Err returns why events cannot be published at present; nil if they can.
func (s *stream) Err() error { return s.health.get() }

// publish appends an event and waits until this process has read it, for less than two
// seconds.
func (s *stream) publish(ctx context.Context, channel, name string, data []byte) (pubsub.ID, error) {
	limited, cancel := context.WithTimeout(ctx, s.options.timing.publish)
	defer cancel()
	sent := &sentData{data: data}
	id, err := s.add(limited, s.commands, channel, name, sent)
	if err == nil {
		if err = s.arrivals.await(limited, id); err != nil {
			err = fmt.Errorf("%w: Redis has it, but %w", pubsub.ErrUnconfirmed, plain(err))
		}
		return id, err
	}
	if ctx.Err() == nil { // it is Redis that has failed, not the publisher that has left
		s.health.published(err)
	}
	cause := pubsub.ErrUnconfirmed
	if isRefusal(err) || !sent.sent.Load() {
		cause = pubsub.ErrNotPublished
	}
	return id, fmt.Errorf("%w: %w", cause, plain(err))
}

// probe returns nil if a publish would succeed at present: an event can be stored, and
// this process reads in time what is stored.
func (s *stream) probe(ctx context.Context) error {
	newest, err := s.tryToStore(ctx)
	if err != nil {
		relocate(ctx, s.commands)
		return err
	}
	return s.arrivals.await(ctx, newest)
}

// pause waits, and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
