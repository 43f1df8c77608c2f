package filebroker

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"time"

	"example.com/sse-demo/pubsub"
)

const (
	// maxBatch is how many bytes of data one commit takes, roughly.
	maxBatch = 1 << 20
	// probeEvery is how often the broker tries whether the disk has room, for
	// probeSize bytes.
	probeEvery = 2 * time.Second
	probeSize  = 512 << 10
)

// A publication is a record that is to be committed.
type publication struct {
	record
	done    chan struct{} // closed when there is a receipt or an error
	receipt pubsub.Receipt
	err     error
}

// run commits what is published, until the broker is closed.
func (b *Broker) run() {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-tick.C:
			b.note(b.tryRoom())
		case p := <-b.queue:
			runtime.Gosched() // publishers that were just answered may publish again, and share the commit
			b.commit(b.gather(p))
		}
	}
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

// save writes a batch to the file, and what the replica has dropped.
func (b *Broker) save(batch []*publication) error {
	err := b.Err()
	if err != nil {
		return fmt.Errorf("%w: %w", pubsub.ErrNotPublished, err)
	}
	var records []byte
	for _, p := range batch {
		b.last = b.last.Next()
		p.id = b.last
		records = p.appendTo(records)
	}
	err = b.makeRoom(len(records))
	end := b.log.end
	if err == nil {
		for channel, id := range b.lost {
			records = record{kind: lossKind, id: id, channel: channel}.appendTo(records)
		}
		err = b.log.append(records)
	}
	if err == nil {
		clear(b.lost)
		return nil
	}
	b.note(err)
	if b.log.end > end { // only the header has failed
		return fmt.Errorf("%w: %w", pubsub.ErrUnconfirmed, err)
	}
	return fmt.Errorf("%w: %w", pubsub.ErrNotPublished, err)
}

// deliver passes a record of the file to the replica or the observers.
func (b *Broker) deliver(r record) (receipt pubsub.Receipt, err error) {
	after := pubsub.ID{r.id[0], r.id[1] + 1} // the first id above
	switch {
	case r.kind == eventKind:
		receipt.ID = r.id
		receipt.Delivered, err = b.replica.Append(r.id, r.channel, r.name, r.data)
	case r.kind == messageKind:
		for _, see := range b.observers {
			see(r.id, r.name, r.data)
		}
	case r.channel == "":
		b.replica.LoseBefore(after)
	default:
		b.replica.LoseBefore(after, r.channel)
	}
	return receipt, err
}

// tryRoom returns an error if the disk has no room. It does not wait until something is
// published, and the next commit could not tell either, because a small event may fit where
// a large one does not. What it writes is taken back before the system writes it to the disk.
func (b *Broker) tryRoom() error {
	if err := b.makeRoom(maxBatch); err != nil {
		return err
	}
	size, err := b.log.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	_, err = b.log.WriteAt(make([]byte, probeSize), size)
	return cmp.Or(err, b.log.Truncate(size))
}

// note keeps the reason why nothing can be published, if there is one.
func (b *Broker) note(err error) {
	if err != nil {
		err = fmt.Errorf("the data file cannot be written: %w", err)
	}
	b.failure.Store(&err)
}
