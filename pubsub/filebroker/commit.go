package filebroker

import (
	"fmt"
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
		dropped, excess := len(b.dropped), b.journal.excess()
		if err = b.db.Update(func(tx *bbolt.Tx) error { return b.write(tx, batch, excess) }); err != nil {
			b.fail(err)
		} else {
			b.dropped = b.dropped[dropped:]
			b.journal.forget(excess)
		}
	}
	if err != nil {
		b.refuse(batch, err)
		return
	}
	for _, p := range batch {
		p.done <- b.deliver(p)
	}
}

// write also deletes what is no longer kept.
func (b *Broker) write(tx *bbolt.Tx, batch []*publication, excess int) error {
	events, jobs := tx.Bucket(eventsBucket), tx.Bucket(jobsBucket)
	events.FillPercent, jobs.FillPercent = 1, 1 // ids rise: nothing is inserted into a page later
	if err := b.writeDropped(tx, events); err != nil {
		return err
	}
	for _, p := range batch {
		bucket := events
		if p.isMessage {
			bucket = jobs
		}
		if err := bucket.Put(key(p.id), p.value()); err != nil {
			return err
		}
	}
	for _, m := range b.journal.kept[:excess] {
		if err := jobs.Delete(key(m.id)); err != nil {
			return err
		}
	}
	return nil
}

// writeDropped deletes the events that were dropped, and keeps what a client of their
// channels has to know: that they are missing.
func (b *Broker) writeDropped(tx *bbolt.Tx, events *bbolt.Bucket) error {
	channels := tx.Bucket(droppedBucket)
	for _, d := range b.dropped {
		if err := events.Delete(key(d.id)); err != nil {
			return err
		}
		if channels.Get([]byte(d.channel)) == nil {
			b.droppedBytes += droppedSize + len(d.channel)
		}
		if err := channels.Put([]byte(d.channel), key(d.id)); err != nil {
			return err
		}
	}
	if b.droppedBytes <= b.maxDropped {
		return nil
	}
	b.droppedBytes = 0
	// Too many channels to know each: from now on any may have lost events.
	if err := tx.DeleteBucket(droppedBucket); err != nil {
		return err
	}
	if _, err := tx.CreateBucket(droppedBucket); err != nil {
		return err
	}
	return tx.Bucket(aboutBucket).Put(forgottenKey, key(b.dropped[len(b.dropped)-1].id))
}

// refuse answers publishers after a commit that failed. If only its last sync failed,
// the batch is in the file all the same, and appears after a restart.
func (b *Broker) refuse(batch []*publication, err error) {
	outcome := pubsub.ErrNotPublished
	_ = b.db.View(func(tx *bbolt.Tx) error {
		first := key(batch[0].id)
		if tx.Bucket(eventsBucket).Get(first) != nil || tx.Bucket(jobsBucket).Get(first) != nil {
			outcome = pubsub.ErrUnconfirmed
		}
		return nil
	})
	for _, p := range batch {
		p.done <- result{err: fmt.Errorf("%w: %w", outcome, err)}
	}
}

// deliver gives a committed publication to those who follow.
func (b *Broker) deliver(p *publication) result {
	if p.isMessage {
		b.journal.see(p.record)
		return result{}
	}
	delivered, err := b.replica.Append(p.id, p.channel, p.name, p.data)
	return result{receipt: pubsub.Receipt{ID: p.id, Delivered: delivered}, err: err}
}
