package redisbroker

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

// A Broker is a pubsub.Broker over any number of processes.
type Broker struct {
	options  Options
	endpoint endpoint
	commands *redis.Client // to publish, and for whatever is answered at once
	reads    *redis.Client // to follow the stream
	health   *health
	mirror   *pubsub.Memory
	stop     context.CancelFunc
	done     sync.WaitGroup

	unchecked atomic.Bool // reads has a new connection, perhaps to a Redis that has lost events

	// Only the reader uses these.
	total int64     // of the entry last; -1 if it is not known
	count int64     // entries that the next read asks for
	lost  pubsub.ID // up to it subscribers know that events may be missing

	mu      sync.Mutex
	last    pubsub.ID              // of the newest entry that was read
	arrival map[pubsub.ID]chan int // of events published here that are yet to be read
	syncs   []waiter
}

// New returns a broker, to be started before use.
func New(o Options) (*Broker, error) {
	endpoint, err := parseURL(o.URL)
	if err != nil {
		return nil, fmt.Errorf("redisbroker: %w", err)
	}
	o = o.withDefaults()
	b := &Broker{
		options:  o,
		endpoint: endpoint,
		commands: endpoint.newClient(o.timing.publish, o.timing.publish, func() {}),
		health:   newHealth(o.timing, o.Logger),
		mirror:   pubsub.NewMirror(o.MirrorEvents, o.MirrorBytes),
		stop:     func() {},
		total:    -1,
		arrival:  map[pubsub.ID]chan int{},
	}
	b.reads = endpoint.newClient(o.timing.block+o.timing.progress, o.timing.publish, func() { b.unchecked.Store(true) })
	return b, nil
}

// Start loads what the stream keeps, and then follows it until Close. A Redis that
// is not there yet is waited for, a few seconds; while entries come, loading may
// take any time, over as many connections as it needs.
func (b *Broker) Start(ctx context.Context) error {
	began := time.Now()
	for progress := began; ; {
		last, attempt := b.last, time.Now()
		err := b.load(ctx)
		if err == nil {
			break
		}
		if b.last != last {
			progress = time.Now()
		}
		if !isTransient(err) || attempt.Sub(progress) > b.options.timing.start || !pause(ctx, b.options.timing.retry) {
			return fmt.Errorf("cannot use Redis at %s: %w", b.endpoint.address, plain(err))
		}
	}
	b.options.Logger.Debug("the history is loaded from Redis", "key", b.options.Key, "took", time.Since(began))
	ctx, b.stop = context.WithCancel(context.WithoutCancel(ctx))
	b.done.Go(func() { b.follow(ctx) })
	b.done.Go(func() { b.health.watch(ctx, b.probe) })
	return nil
}

// Close stops following. Nothing may be published any more.
func (b *Broker) Close() {
	b.stop()
	_ = b.reads.Close() // interrupts a read
	_ = b.commands.Close()
	b.done.Wait()
}

// Publish implements [pubsub.Broker]. It returns when Redis has the event and this
// process has read it, or after less than two seconds. That Redis has it is not
// enough: a failover may lose it, and only a process that has read it notices.
func (b *Broker) Publish(ctx context.Context, channel, name string, data []byte) (pubsub.Receipt, error) {
	if channel == "" || channel == anchorChannel {
		return pubsub.Receipt{}, fmt.Errorf("publish: %w: channel %q", sse.ErrField, channel)
	}
	if _, err := (sse.Event{Name: name}).Append(nil); err != nil {
		return pubsub.Receipt{}, fmt.Errorf("publish to %q: %w", channel, err)
	}
	limited, cancel := context.WithTimeout(ctx, b.options.timing.publish)
	defer cancel()
	sent := &sentData{data: data}
	text, err := b.add(limited, b.commands, b.position(), channel, name, sent)
	if err != nil {
		if ctx.Err() == nil { // it is Redis that has failed, not the publisher that has left
			b.health.published(err)
		}
		cause := pubsub.ErrUnconfirmed
		if isRefusal(err) || !sent.sent.Load() {
			cause = pubsub.ErrNotPublished
		}
		return pubsub.Receipt{}, fmt.Errorf("publish to %q: %w: %w", channel, cause, plain(err))
	}
	id, ok := pubsub.ParseID(text)
	if !ok {
		return pubsub.Receipt{}, fmt.Errorf("publish to %q: %w: Redis gave the id %q", channel, pubsub.ErrUnconfirmed, text)
	}
	delivered, err := b.awaitArrival(limited, id, channel)
	if err != nil {
		return pubsub.Receipt{}, fmt.Errorf("publish to %q: %w: Redis has it as %s, but this process has not read it: %w", channel, pubsub.ErrUnconfirmed, id, plain(err))
	}
	return pubsub.Receipt{ID: id, Delivered: delivered}, nil
}

// awaitArrival waits until this process has read the event, and returns how many
// subscriptions it has reached.
func (b *Broker) awaitArrival(ctx context.Context, id pubsub.ID, channel string) (int, error) {
	arrived := make(chan int, 1)
	b.mu.Lock()
	late := b.last.Compare(id) >= 0
	if !late {
		b.arrival[id] = arrived
	}
	b.mu.Unlock()
	if late {
		return b.mirror.SubscribersOf(channel), nil
	}
	select {
	case delivered := <-arrived:
		return delivered, nil
	case <-ctx.Done():
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.arrival, id)
		return 0, ctx.Err()
	}
}

// Subscribe implements [pubsub.Broker].
func (b *Broker) Subscribe(channels []string, start pubsub.Start) *pubsub.Subscription {
	return b.mirror.Subscribe(channels, start)
}

// Subscribers implements [pubsub.Broker]; it counts those of this process.
func (b *Broker) Subscribers() map[string]int { return b.mirror.Subscribers() }

// Observe implements [pubsub.Broker]. The events that Redis keeps are seen in Start.
func (b *Broker) Observe(channel string, see func(id pubsub.ID, name string, data []byte)) {
	b.mirror.Observe(channel, see)
}

// Kind implements [pubsub.Broker].
func (b *Broker) Kind() string { return "redis" }

// Err implements [pubsub.Broker].
func (b *Broker) Err() error { return b.health.get() }

// position is the id of the newest entry that was read.
func (b *Broker) position() pubsub.ID {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
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
