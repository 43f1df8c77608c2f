package filebroker

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

const (
	// publishTimeout bounds how long Publish waits for a disk that does not answer.
	publishTimeout = 10 * time.Second
	// maxChannel bounds the name of a channel in bytes: it is part of a key of bbolt.
	maxChannel = 1 << 14
)

// A Broker is a pubsub.Broker whose events are in a file.
type Broker struct {
	path      string
	replica   *pubsub.Replica
	observers []func(id pubsub.ID, name string, data []byte) // of the journal
	queue     chan *publication
	stop      chan struct{}
	running   sync.WaitGroup
	failure   atomic.Pointer[error] // why nothing can be published

	// Of the goroutine that commits:
	db         *bbolt.DB
	probe      *os.File // what is written to it shows whether the disk has room
	last       pubsub.ID
	lost, gone []record // what the replica has dropped since the last commit: to be written, to be removed
	account    account
	max        [kinds]int // bytes
	maxFile    int64      // bytes
	loaded     int        // the number of the transaction that was loaded
}

// A publication is a record that is to be committed.
type publication struct {
	record
	done    chan struct{} // closed when there is a receipt or an error
	receipt pubsub.Receipt
	err     error
}

// New returns a broker on a data file, which Start opens. It keeps as much of its
// channels as [pubsub.NewMemory] says. The file takes at most four times maxBytes, and
// 8 MiB.
func New(path string, maxEvents, maxBytes int) *Broker {
	b := &Broker{
		path:    path,
		queue:   make(chan *publication),
		stop:    make(chan struct{}),
		max:     [kinds]int{lostKind: maxBytes/4 + 1<<20, messageKind: maxBytes/2 + 1<<20},
		maxFile: 4*int64(maxBytes) + 8<<20,
	}
	b.replica = pubsub.NewReplica(maxEvents, maxBytes, 0, func(channel string, id, before pubsub.ID) {
		event, last := record{kind: eventKind, id: id, channel: channel}, record{kind: lostKind, id: before, channel: channel}
		b.gone = append(b.gone, event, last)
		b.lost = append(b.lost, record{kind: lostKind, id: id, channel: channel})
	})
	b.note(nil)
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

// Close ends what is being published, and closes the file. Call it also after a Start
// that has failed.
func (b *Broker) Close() error {
	close(b.stop)
	b.running.Wait()
	if b.probe != nil {
		_ = b.probe.Close()           // it is empty
		_ = os.Remove(b.probe.Name()) // on Windows it still has its name
	}
	if b.db == nil {
		return nil
	}
	return b.db.Close()
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
		err = fmt.Errorf("publish to %q: %w", channel, err)
	}
	return receipt, err
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
func (b *Broker) Err() error { return *b.failure.Load() }

// A Journal is the one order of what happens to jobs, as routes/job needs it, in the
// file of a broker. It keeps the newest messages, up to half of what the broker keeps
// and 1 MiB.
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
