package filebroker

import (
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"example.com/sse-demo/pubsub"
)

const (
	// maxBatch is how many bytes of data one commit takes, roughly.
	maxBatch = 4 << 20
	// probeEvery is how often the broker tries whether the disk has room, for
	// probeSize bytes.
	probeEvery = 2 * time.Second
	probeSize  = 512 << 10
	// droppedSize is counted for a channel in droppedBucket on top of its name.
	droppedSize = 64
)

// run commits what is published, until the broker is closed.
func (b *Broker) run() {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	room := make([]byte, probeSize)
	for {
		select {
		case <-b.stop:
			return
		case <-tick.C:
			b.tryRoom(room)
		case p := <-b.queue:
			b.commit(b.gather(p))
		}
	}
}

// tryRoom finds out whether the disk has room. What it writes is taken back before
// the system writes it to the disk. A failure of a commit is over when there is room:
// it would be tried with a small event, and the next large one would fail again.
func (b *Broker) tryRoom(room []byte) {
	_, err := b.probe.WriteAt(room, 0)
	if back := b.probe.Truncate(0); err == nil {
		err = back
	}
	if err != nil {
		b.fail(err)
		return
	}
	b.failure.Store(nil)
}

func (b *Broker) fail(err error) {
	err = fmt.Errorf("the data file cannot be written: %w", err)
	b.failure.Store(&err)
}

// gather takes what else is published at the same time.
func (b *Broker) gather(first *publication) []*publication {
	batch, size := []*publication{first}, len(first.data)
	for size < maxBatch {
		select {
		case p := <-b.queue:
			batch, size = append(batch, p), size+len(p.data)
		default:
			return batch
		}
	}
	return batch
}

// commit writes a batch to the file, and then appends it to the replica and answers.
func (b *Broker) commit(batch []*publication) {
	err := b.Err()
	if err == nil {
		for _, p := range batch {
			b.last = b.last.Next()
			p.id = b.last
		}
		before := b.droppedBytes
		if err = b.db.Update(func(tx *bbolt.Tx) error { return b.write(tx, batch) }); err != nil {
			b.droppedBytes = before
			b.fail(err)
		}
	}
	if err != nil {
		b.refuse(batch, err)
		return
	}
	b.dropped = b.dropped[:0]
	for _, p := range batch {
		p.done <- b.deliver(p.record)
	}
}

// write also deletes what is no longer kept since the last commit.
func (b *Broker) write(tx *bbolt.Tx, batch []*publication) error {
	records := tx.Bucket(recordsBucket)
	records.FillPercent = 1 // ids rise: nothing is inserted into a page later; and half empty pages are merged
	for _, p := range batch {
		if err := records.Put(key(p.id), p.value()); err != nil {
			return err
		}
	}
	for _, d := range b.dropped {
		if err := records.Delete(key(d.id)); err != nil {
			return err
		}
		if err := b.noteDropped(tx, d); err != nil {
			return err
		}
	}
	return nil
}

// noteDropped keeps what a client of a channel has to know: that events are missing.
func (b *Broker) noteDropped(tx *bbolt.Tx, d drop) error {
	if d.channel == "" {
		return nil
	}
	channels := tx.Bucket(droppedBucket)
	if channels.Get([]byte(d.channel)) == nil {
		b.droppedBytes += droppedSize + len(d.channel)
	}
	if err := putID(channels, []byte(d.channel), d.id); err != nil || b.droppedBytes <= b.maxDropped {
		return err
	}
	return b.forgetOlder(tx)
}

// forgetOlder deletes the older half of droppedBucket, because there are too many
// channels to know each: any channel may have lost events up to the newest of it.
func (b *Broker) forgetOlder(tx *bbolt.Tx) error {
	channels := tx.Bucket(droppedBucket)
	var all []drop
	err := channels.ForEach(func(channel, value []byte) error {
		id, err := parseID(channel, value)
		all = append(all, drop{string(channel), id})
		return err
	})
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b drop) int { return a.id.Compare(b.id) })
	older := all[:(len(all)+1)/2]
	for _, d := range older {
		b.droppedBytes -= droppedSize + len(d.channel)
		if err := channels.Delete([]byte(d.channel)); err != nil {
			return err
		}
	}
	return putID(tx.Bucket(aboutBucket), forgottenKey, older[len(older)-1].id)
}

// refuse answers publishers after a commit that failed. If only its last sync failed,
// the batch is in the file all the same, and appears after a restart.
func (b *Broker) refuse(batch []*publication, err error) {
	outcome := pubsub.ErrNotPublished
	_ = b.db.View(func(tx *bbolt.Tx) error {
		if tx.Bucket(recordsBucket).Get(key(batch[0].id)) != nil {
			outcome = pubsub.ErrUnconfirmed
		}
		return nil
	})
	for _, p := range batch {
		p.done <- result{err: fmt.Errorf("%w: %w", outcome, err)}
	}
}

// deliver gives a committed record to those who follow.
func (b *Broker) deliver(r record) result {
	if r.channel == "" {
		b.journal.see(r)
		return result{}
	}
	delivered, err := b.replica.Append(r.id, r.channel, r.name, r.data)
	return result{receipt: pubsub.Receipt{ID: r.id, Delivered: delivered}, err: err}
}
