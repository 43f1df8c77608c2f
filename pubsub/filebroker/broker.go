package filebroker

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

const (
	// publishTimeout bounds how long Publish waits for a disk that does not answer.
	publishTimeout = 10 * time.Second
	// maxChannel bounds the name of a channel in bytes, because each event in the file has it.
	maxChannel = 128
)

// A Broker is a pubsub.Broker whose events are in a file.
type Broker struct {
	path        string
	maxFile     int64 // bytes after which the log is compacted
	maxMessages int64 // bytes of the journal that are kept then
	maxLosses   int   // channels whose losses are kept then
	replica     *pubsub.Replica
	observers   []func(id pubsub.ID, name string, data []byte) // of the journal
	queue       chan *publication
	stop        chan struct{}
	running     sync.WaitGroup
	failure     atomic.Pointer[error] // why nothing can be published

	// Of the goroutine that commits:
	log  *log
	last pubsub.ID
	lost map[string]pubsub.ID // by channel: the newest event that the replica has dropped since the last commit
}

// New returns a broker on a data file, which Start opens. It keeps as much of its
// channels as [pubsub.NewMemory] says. The file takes at most four times maxBytes, and
// 8 MiB.
func New(path string, maxEvents, maxBytes int) *Broker {
	b := &Broker{
		path:        path,
		maxFile:     2*int64(maxBytes) + 4<<20, // while it is compacted there is a copy of what is kept, too
		maxMessages: int64(maxBytes)/4 + 1<<20,
		maxLosses:   maxBytes/512 + 2048,
		queue:       make(chan *publication),
		stop:        make(chan struct{}),
		lost:        map[string]pubsub.ID{},
	}
	b.replica = pubsub.NewReplica(maxEvents, maxBytes, 0, func(channel string, id pubsub.ID) { b.lost[channel] = id })
	return b
}

// Start opens the file, or creates it, loads what it keeps, and accepts publications
// from then on. Its errors name the file, which is as it was then. The end of ctx ends
// a start that takes long.
func (b *Broker) Start(ctx context.Context) error {
	if err := b.open(ctx); err != nil {
		return fmt.Errorf("%s: %w", b.path, plain(err))
	}
	b.running.Go(b.run)
	return nil
}

func (b *Broker) open(ctx context.Context) (err error) {
	if b.log, err = openLog(b.path); err != nil {
		return err
	}
	err = b.kept(ctx, func(r record) error {
		if r.id.Compare(b.last) > 0 {
			b.last = r.id
		}
		_, err := b.deliver(r)
		return err
	})
	if err != nil {
		return err
	}
	b.note(b.tryRoom()) //nolint:contextcheck // it is short
	return b.log.Chmod(0o600)
}

// Close ends what is being published, and closes the file. Call it also after a Start
// that has failed.
func (b *Broker) Close() error {
	close(b.stop)
	b.running.Wait()
	if b.log == nil {
		return nil
	}
	return b.log.Close()
}

// Publish implements [pubsub.Broker]. It returns when the event is on the disk.
func (b *Broker) Publish(ctx context.Context, channel, name string, data []byte) (pubsub.Receipt, error) {
	if channel == "" || len(channel) > maxChannel {
		return pubsub.Receipt{}, fmt.Errorf("publish: %w: the name of a channel has 1 to %d bytes", sse.ErrInvalidField, maxChannel)
	}
	if _, err := (sse.Event{Name: name}).Append(nil); err != nil { // the data may be any
		return pubsub.Receipt{}, fmt.Errorf("publish to %q: %w", channel, err)
	}
	receipt, err := b.publish(ctx, record{kind: eventKind, channel: channel, name: name, data: data})
	if err != nil {
		return pubsub.Receipt{}, fmt.Errorf("publish to %q: %w", channel, err)
	}
	return receipt, nil
}

func (b *Broker) publish(ctx context.Context, r record) (pubsub.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	p := &publication{record: r, done: make(chan struct{})}
	select {
	case b.queue <- p:
	case <-b.stop:
		return pubsub.Receipt{}, fmt.Errorf("%w: the broker is closed", pubsub.ErrNotPublished)
	case <-ctx.Done():
		return pubsub.Receipt{}, fmt.Errorf("%w: %w", pubsub.ErrNotPublished, ctx.Err())
	}
	select {
	case <-p.done:
		return p.receipt, p.err
	case <-ctx.Done():
		return pubsub.Receipt{}, fmt.Errorf("%w: %w", pubsub.ErrUnconfirmed, ctx.Err())
	}
}

// Subscribe implements [pubsub.Broker].
func (b *Broker) Subscribe(channels []string, start pubsub.Start) pubsub.Subscription {
	return b.replica.Subscribe(channels, start)
}

// Subscribers counts subscriptions as [pubsub.Replica.Subscribers] does.
func (b *Broker) Subscribers(limit int) map[string]int { return b.replica.Subscribers(limit) }

// Err returns why nothing can be published at present; nil if it can.
func (b *Broker) Err() error {
	if err := b.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// A Journal is the one order of what happens to jobs, as routes/job needs it, in the
// file of a broker. It keeps the newest messages: at least a quarter of what the broker
// keeps, and 1 MiB.
type Journal struct{ broker *Broker }

// Journal returns the journal in the same file.
func (b *Broker) Journal() Journal { return Journal{b} }

// Publish appends a message. It returns when the message is on the disk and was
// observed.
func (j Journal) Publish(ctx context.Context, name string, data []byte) error {
	_, err := j.broker.publish(ctx, record{kind: messageKind, name: name, data: data})
	return err
}

// Observe passes every message to see, in order: those in the file when the broker
// starts, and then each that is published. Call it before that. see must not keep the
// data.
func (j Journal) Observe(see func(id pubsub.ID, name string, data []byte)) {
	j.broker.observers = append(j.broker.observers, see)
}

// Sync returns at once: no other process has messages that could be missing.
func (j Journal) Sync(context.Context) error { return nil }

// Err returns why nothing can be published at present; nil if it can.
func (j Journal) Err() error { return j.broker.Err() }
