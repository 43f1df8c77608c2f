package filebroker

import (
	"cmp"
	"fmt"
	"runtime"
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
)

// run commits what is published, until the broker is closed.
func (b *Broker) run() {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-tick.C:
			b.tryRoom()
		case p := <-b.queue:
			runtime.Gosched() // publishers that were just answered may publish again, and share the commit
			b.commit(b.gather(p))
		}
	}
}

// tryRoom finds out whether the disk has room, in a file without a name: a kill leaves
// nothing behind, and trying needs neither a free file descriptor nor the folder. What it
// writes is taken back before the system writes it to the disk. Room also ends the failure
// of a commit: another commit could not tell, because a small event may fit where the next
// large one does not.
func (b *Broker) tryRoom() {
	_, err := b.probe.WriteAt(make([]byte, probeSize), 0)
	b.note(cmp.Or(err, b.probe.Truncate(0)))
}

// note keeps the reason why nothing can be published, if there is one.
func (b *Broker) note(err error) {
	if err != nil {
		err = fmt.Errorf("the data file cannot be written: %w", err)
	}
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

// commit writes a batch to the file, delivers it, and answers its publishers.
func (b *Broker) commit(batch []*publication) {
	err := b.save(batch)
	for _, p := range batch {
		if p.err = err; err == nil {
			p.receipt, p.err = b.deliver(p.record)
		}
		close(p.done)
	}
}

// save writes a batch to the file, and what the replica has dropped since the last one.
func (b *Broker) save(batch []*publication) error {
	if err := b.Err(); err != nil {
		return fmt.Errorf("%w: %w", pubsub.ErrNotPublished, err)
	}
	for _, p := range batch {
		b.last = b.last.Next()
		p.id = b.last
	}
	before := b.transaction()
	after, err := change(b.db, b.account, func(w *writer) { b.write(w, batch) })
	failure := pubsub.ErrNotPublished
	if b.transaction() != before {
		b.account, b.lost, b.gone = after, b.lost[:0], b.gone[:0]
		failure = pubsub.ErrUnconfirmed // only the last sync may have failed: the batch appears after a restart
	}
	if err == nil {
		return nil
	}
	b.note(err)
	return fmt.Errorf("%w: %w", failure, err)
}

// write also trims the file to what is kept.
func (b *Broker) write(w *writer, batch []*publication) {
	for _, p := range batch {
		w.put(p.record)
	}
	for _, r := range b.lost {
		w.put(r)
	}
	for _, r := range b.gone {
		w.remove(r.key())
	}
	w.trim(messageKind, b.max[messageKind])
	if id := w.trim(lostKind, b.max[lostKind]); id != (pubsub.ID{}) {
		// There are too many channels to know each: an older id begins with a gap in any, after a restart.
		w.put(record{kind: lostKind, id: id})
	}
}

// transaction returns the number of the last transaction in the file.
func (b *Broker) transaction() (number int) {
	_ = b.db.View(func(tx *bbolt.Tx) error { number = tx.ID(); return nil })
	return number
}

// deliver passes a record of the file to the replica or the observers.
func (b *Broker) deliver(r record) (pubsub.Receipt, error) {
	after := pubsub.ID{r.id[0], r.id[1] + 1}
	switch {
	case r.kind == eventKind:
		delivered, err := b.replica.Append(r.id, r.channel, r.name, r.data)
		return pubsub.Receipt{ID: r.id, Delivered: delivered}, err
	case r.kind == messageKind:
		for _, see := range b.observers {
			see(r.id, r.name, r.data)
		}
	case r.channel == "":
		b.replica.LoseBefore(after)
	default:
		b.replica.LoseBefore(after, r.channel)
	}
	return pubsub.Receipt{}, nil
}
