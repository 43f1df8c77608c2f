package filebroker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

// publishTimeout bounds how long Publish waits for a disk that does not answer.
const publishTimeout = 10 * time.Second

// A Broker is a pubsub.Broker whose events are in a file. Its [Journal] is in the same
// file.
type Broker struct {
	db      *bbolt.DB
	replica *pubsub.Replica
	probe   *os.File // has no name any more; what is written to it shows whether there is room
	queue   chan *publication
	stop    chan struct{}
	running sync.WaitGroup
	failure atomic.Pointer[error] // why nothing can be published

	// Of the goroutine that commits:
	last    pubsub.ID
	journal Journal
	dropped []drop // since the last commit

	droppedBytes           int // of droppedBucket
	maxFile                int64
	maxJournal, maxDropped int // bytes
}

// A drop is a record that is no longer kept.
type drop struct {
	channel string // "" for a message of the journal
	id      pubsub.ID
}

// A publication is a record that is to be committed.
type publication struct {
	record
	done chan result // has room for one
}

type result struct {
	receipt pubsub.Receipt
	err     error
}

// Open opens the data file, or creates it with mode 0600, and loads its channels, of
// which it keeps as much as pubsub.NewMemory says. The file takes at most four times
// maxBytes, and 8 MiB. Errors name the file. Call Start before use, and Close after.
func Open(path string, maxEvents, maxBytes int) (*Broker, error) {
	b := &Broker{
		queue:      make(chan *publication),
		stop:       make(chan struct{}),
		maxJournal: maxBytes/2 + 1<<20,
		maxDropped: maxBytes/4 + 1<<20,
		maxFile:    4*int64(maxBytes) + 8<<20,
	}
	b.journal.broker = b
	b.replica = pubsub.NewReplica(maxEvents, maxBytes, 0, func(channel string, id pubsub.ID) { b.dropped = append(b.dropped, drop{channel, id}) })
	var err error
	if b.db, err = openFile(path); err != nil {
		return nil, named(path, err)
	}
	file := b.db.Path()
	if err := b.db.View(b.load); err != nil {
		return nil, named(path, errors.Join(err, b.db.Close()))
	}
	if b.probe, err = os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".probe-*"); err != nil {
		return nil, named(path, errors.Join(err, b.db.Close()))
	}
	_ = os.Remove(b.probe.Name()) // Windows cannot yet, and does in Close
	return b, nil
}

func named(path string, err error) error {
	if pathError, ok := errors.AsType[*os.PathError](err); ok {
		err = pathError.Err // it may name another file
	}
	return fmt.Errorf("%s: %w", path, err)
}

// load fills the replica. Ids go on after the newest in the file.
func (b *Broker) load(tx *bbolt.Tx) error {
	for _, name := range buckets {
		if tx.Bucket(name) == nil {
			return errOther
		}
	}
	about := tx.Bucket(aboutBucket)
	if string(about.Get(formKey)) != form {
		return errOther
	}
	begin, err := parseID(beginKey, about.Get(beginKey))
	if err != nil {
		return err
	}
	b.last = begin
	b.replica.LoseBefore(after(begin))
	if text := about.Get(forgottenKey); text != nil {
		forgotten, err := parseID(forgottenKey, text)
		if err != nil {
			return err
		}
		b.replica.LoseBefore(after(forgotten))
	}
	err = tx.Bucket(droppedBucket).ForEach(func(channel, value []byte) error {
		id, err := parseID(channel, value)
		b.droppedBytes += droppedSize + len(channel)
		b.replica.LoseBefore(after(id), string(channel))
		return err
	})
	if err != nil {
		return err
	}
	return read(tx, func(r record) error {
		b.last = r.id
		if r.channel == "" {
			return nil // Start reads it
		}
		_, err := b.replica.Append(r.id, r.channel, r.name, r.data)
		return err
	})
}

// after is the first id above id.
func after(id pubsub.ID) pubsub.ID { return pubsub.ID{id[0], id[1] + 1} }

// Start lets the observers of the journal see what is in the file, and accepts
// publications from then on.
func (b *Broker) Start() error {
	err := b.db.View(func(tx *bbolt.Tx) error {
		return read(tx, func(r record) error {
			if r.channel == "" {
				b.journal.see(r)
			}
			return nil
		})
	})
	if err == nil {
		err = b.shrink()
	}
	b.running.Go(b.run)
	return err
}

// shrink makes the file smaller if it was written with a larger history. bbolt itself
// never does. While the disk is full the file stays as it is.
func (b *Broker) shrink() error {
	info, err := os.Stat(b.db.Path())
	if err != nil || info.Size() <= b.maxFile {
		return err
	}
	if err := b.db.Update(func(tx *bbolt.Tx) error { return b.write(tx, nil) }); err != nil {
		return nil //nolint:nilerr // publishing says that the disk is full
	}
	b.dropped = nil
	db, err := compact(b.db)
	if db != nil {
		b.db = db
	}
	return err
}

// Journal returns the journal in the same file.
func (b *Broker) Journal() *Journal { return &b.journal }

// Close ends what is being published, and closes the file.
func (b *Broker) Close() error {
	close(b.stop)
	b.running.Wait()
	_ = b.probe.Close()
	_ = os.Remove(b.probe.Name())
	return b.db.Close()
}

// Publish implements [pubsub.Broker]. It returns when the event is on the disk.
func (b *Broker) Publish(ctx context.Context, channel, name string, data []byte) (pubsub.Receipt, error) {
	if channel == "" {
		return pubsub.Receipt{}, fmt.Errorf("publish: %w: a channel has a name", sse.ErrInvalidField)
	}
	if _, err := (sse.Event{Name: name}).Append(nil); err != nil { // the data may be any
		return pubsub.Receipt{}, fmt.Errorf("publish to %q: %w", channel, err)
	}
	receipt, err := b.publish(ctx, &publication{record: record{channel: channel, name: name, data: data}})
	if err != nil {
		return pubsub.Receipt{}, fmt.Errorf("publish to %q: %w", channel, err)
	}
	return receipt, nil
}

func (b *Broker) publish(ctx context.Context, p *publication) (pubsub.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	p.done = make(chan result, 1)
	select {
	case b.queue <- p:
	case <-b.stop:
		return pubsub.Receipt{}, fmt.Errorf("%w: the broker is closed", pubsub.ErrNotPublished)
	case <-ctx.Done():
		return pubsub.Receipt{}, fmt.Errorf("%w: %w", pubsub.ErrNotPublished, ctx.Err())
	}
	select {
	case r := <-p.done:
		return r.receipt, r.err
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
