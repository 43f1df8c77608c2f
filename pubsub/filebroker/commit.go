package filebroker

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
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

// openProbe opens a file for tryRoom, which has no name: a kill leaves nothing behind, and
// trying needs neither a free file descriptor nor the folder's name.
func (b *Broker) openProbe(file string) (err error) {
	b.probe, err = os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".probe-*")
	if err == nil {
		_ = os.Remove(b.probe.Name()) // Windows cannot yet, and does in closeProbe
	}
	return err
}

func (b *Broker) closeProbe() {
	if b.probe != nil {
		_ = b.probe.Close() // it is empty
		_ = os.Remove(b.probe.Name())
	}
}

// tryRoom finds out whether the disk has room. What it writes is taken back before the
// system writes it to the disk. Room also ends the failure of a commit: another commit
// could not tell, because a small event may fit where the next large one does not.
func (b *Broker) tryRoom() {
	_, err := b.probe.WriteAt(make([]byte, probeSize), 0)
	if back := b.probe.Truncate(0); err == nil {
		err = back
	}
	b.note(err)
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

// save writes a batch to the file, and deletes what is no longer kept.
func (b *Broker) save(batch []*publication) error {
	if err := b.Err(); err != nil {
		return fmt.Errorf("%w: %w", pubsub.ErrNotPublished, err)
	}
	for _, p := range batch {
		b.last = b.last.Next()
		p.id = b.last
	}
	before := b.size
	err := b.db.Update(func(tx *bbolt.Tx) error { return b.write(tx, batch) })
	if err == nil {
		b.dropped = b.dropped[:0]
		return nil
	}
	b.size = before
	b.note(err)
	if len(batch) > 0 && b.has(batch[0].key()) { // only the last sync has failed: it appears after a restart
		return fmt.Errorf("%w: %w", pubsub.ErrUnconfirmed, err)
	}
	return fmt.Errorf("%w: %w", pubsub.ErrNotPublished, err)
}

func (b *Broker) has(key []byte) (has bool) {
	_ = b.db.View(func(tx *bbolt.Tx) error { has = tx.Bucket(bucketName).Get(key) != nil; return nil })
	return has
}

func (b *Broker) write(tx *bbolt.Tx, batch []*publication) error {
	w := &writer{Bucket: tx.Bucket(bucketName)}
	w.FillPercent = 1 // ids rise: nothing is inserted into a page later; and half empty pages are merged
	for _, p := range batch {
		if p.channel == "" {
			b.size.jobs += p.size()
		}
		w.put(p.key(), p.value())
	}
	newest := map[string]pubsub.ID{}
	for _, d := range b.dropped {
		w.remove(d.key())
		newest[d.channel] = d.id
	}
	for channel, id := range newest {
		if w.Get(droppedKey(channel)) == nil {
			b.size.dropped += entrySize + len(channel)
		}
		w.put(droppedKey(channel), appendID(nil, id))
	}
	if b.size.dropped > b.max.dropped {
		b.forgetOlder(w)
	}
	for jobs := w.Cursor(); b.size.jobs > b.max.jobs; {
		oldest := parseRecord(jobs.Seek([]byte{jobKind}))
		b.size.jobs -= oldest.size()
		w.remove(oldest.key())
	}
	return w.err
}

// forgetOlder removes the older half of the dropped channels, because there are too many
// to know each. The order of ids begins after them then: in every channel, a client with
// an older id gets a gap after the next start.
func (b *Broker) forgetOlder(w *writer) {
	var all []record
	c := w.Cursor()
	for key, id := c.Seek(droppedKey("")); bytes.HasPrefix(key, droppedKey("")); key, id = c.Next() {
		all = append(all, record{id: parseID(id), channel: string(key[1:])})
	}
	slices.SortFunc(all, func(a, b record) int { return a.id.Compare(b.id) })
	older := all[:(len(all)+1)/2]
	for _, d := range older {
		b.size.dropped -= entrySize + len(d.channel)
		w.remove(droppedKey(d.channel))
	}
	w.put([]byte{beginKind}, appendID(nil, older[len(older)-1].id))
}

// deliver passes a record of the file to the replica or the observers.
func (b *Broker) deliver(r record) (pubsub.Receipt, error) {
	if r.channel == "" {
		for _, see := range b.observers {
			see(r.id, r.name, r.data)
		}
		return pubsub.Receipt{}, nil
	}
	delivered, err := b.replica.Append(r.id, r.channel, r.name, r.data)
	return pubsub.Receipt{ID: r.id, Delivered: delivered}, err
}
