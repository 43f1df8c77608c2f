package filebroker

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"

	"go.etcd.io/bbolt"

	"example.com/sse-demo/pubsub"
)

// The buckets of the file. The sequence number of each, which bbolt keeps for any
// purpose, is the sum of the checksums of its entries.
var (
	eventsBucket  = []byte("events")  // records, in the order of their ids
	jobsBucket    = []byte("jobs")    // the same
	droppedBucket = []byte("dropped") // by channel: the id of the newest event that is no longer kept
	orderBucket   = []byte("order")
	buckets       = [][]byte{eventsBucket, jobsBucket, droppedBucket, orderBucket}

	beginKey = []byte("begin") // in orderBucket: the id after which the order of ids begins
)

// entrySize is counted for an entry of a bucket on top of its content.
const entrySize = 64

// A record is an event, or a message of the journal, which has no channel. Its key is
// the id and the channel, its value the name, a line feed, and the data.
type record struct {
	id            pubsub.ID
	channel, name string
	data          []byte
}

func (r *record) bucket() []byte {
	if r.channel == "" {
		return jobsBucket
	}
	return eventsBucket
}

func (r *record) size() int     { return entrySize + len(r.name) + len(r.data) }
func (r *record) key() []byte   { return append(appendID(nil, r.id), r.channel...) }
func (r *record) value() []byte { return append([]byte(r.name+"\n"), r.data...) }

// parseRecord reads a record, whose data shares the memory of value.
func parseRecord(key, value []byte) record {
	name, data, _ := bytes.Cut(value, []byte("\n"))
	return record{id: parseID(key), channel: string(key[idSize:]), name: string(name), data: data}
}

const idSize = 16

// appendID appends an id so that bytes have the order of their ids.
func appendID(b []byte, id pubsub.ID) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, id[0]), id[1])
}

func parseID(b []byte) pubsub.ID {
	return pubsub.ID{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

var checksums = crc32.MakeTable(crc32.Castagnoli)

func checksum(key, value []byte) uint64 {
	return uint64(crc32.Update(crc32.Checksum(key, checksums), checksums, value))
}

// A writer changes buckets, and the sums of their checksums. After an error it does
// nothing more.
type writer struct {
	*bbolt.Tx
	err error
}

func (w *writer) put(bucket, key, value []byte) {
	w.remove(bucket, key)
	if b := w.Bucket(bucket); w.err == nil {
		b.FillPercent = 1 // most keys rise: nothing is inserted into a page later; and half empty pages are merged
		w.err = b.Put(key, value)
		w.add(b, checksum(key, value))
	}
}

func (w *writer) remove(bucket, key []byte) {
	b := w.Bucket(bucket)
	if old := b.Get(key); old != nil && w.err == nil {
		w.add(b, -checksum(key, old))
		w.err = b.Delete(key)
	}
}

func (w *writer) add(b *bbolt.Bucket, sum uint64) {
	if w.err == nil {
		w.err = b.SetSequence(b.Sequence() + sum)
	}
}

// load fills the replica, and passes the journal to its observers. Ids go on after the
// newest in the file.
func (b *Broker) load(ctx context.Context, tx *bbolt.Tx) error {
	for _, name := range buckets {
		if tx.Bucket(name) == nil {
			return errContent
		}
	}
	b.last = parseID(tx.Bucket(orderBucket).Get(beginKey))
	b.replica.LoseBefore(after(b.last))
	_ = tx.Bucket(droppedBucket).ForEach(func(channel, id []byte) error {
		b.size.dropped += entrySize + len(channel)
		b.replica.LoseBefore(after(parseID(id)), string(channel))
		return nil
	})
	read := func(key, value []byte) error {
		r := parseRecord(key, value)
		if r.id.Compare(b.last) > 0 {
			b.last = r.id
		}
		if r.channel == "" {
			b.size.jobs += r.size()
		}
		if _, err := b.deliver(r); err != nil {
			return err
		}
		return ctx.Err()
	}
	if err := tx.Bucket(eventsBucket).ForEach(read); err != nil {
		return err
	}
	return tx.Bucket(jobsBucket).ForEach(read)
}

// after is the first id above id.
func after(id pubsub.ID) pubsub.ID { return pubsub.ID{id[0], id[1] + 1} }
