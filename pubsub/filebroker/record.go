package filebroker

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"

	"go.etcd.io/bbolt"

	"example.com/sse-demo/pubsub"
)

// The file has one bucket. Its sequence number, which bbolt keeps for any purpose, is
// the sum of the checksums of all entries.
var bucketName = []byte("sse-demo")

// The first byte of a key is the kind of its entry. They are loaded in this order.
const (
	beginKind   = 'a' // the id after which the order of ids begins
	droppedKind = 'b' // a channel, and the id of its newest event that is no longer kept
	eventKind   = 'c' // a record
	jobKind     = 'd' // a record
)

// entrySize is counted for an entry on top of what it contains.
const entrySize = 64

// A record is an event, or a message of the journal, which has no channel. Its key is
// the kind, the id and the channel, its value the name, a line feed, and the data.
type record struct {
	id            pubsub.ID
	channel, name string
	data          []byte
}

func (r *record) key() []byte {
	kind := byte(eventKind)
	if r.channel == "" {
		kind = jobKind
	}
	return append(appendID([]byte{kind}, r.id), r.channel...)
}

func (r *record) value() []byte { return append([]byte(r.name+"\n"), r.data...) }
func (r *record) size() int     { return entrySize + len(r.name) + len(r.data) }

// parseRecord reads a record, whose data shares the memory of value.
func parseRecord(key, value []byte) record {
	name, data, _ := bytes.Cut(value, []byte("\n"))
	return record{id: parseID(key[1:]), channel: string(key[1+idSize:]), name: string(name), data: data}
}

func droppedKey(channel string) []byte { return append([]byte{droppedKind}, channel...) }

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

// A writer changes the bucket, and the sum of its checksums. After an error it does
// nothing more.
type writer struct {
	*bbolt.Bucket
	err error
}

func (w *writer) put(key, value []byte) {
	w.remove(key)
	if w.err == nil {
		w.err = w.Put(key, value)
		w.add(checksum(key, value))
	}
}

func (w *writer) remove(key []byte) {
	if old := w.Get(key); old != nil && w.err == nil {
		w.add(-checksum(key, old))
		w.err = w.Delete(key)
	}
}

func (w *writer) add(sum uint64) {
	if w.err == nil {
		w.err = w.SetSequence(w.Sequence() + sum)
	}
}

// load fills the replica, and passes the journal to its observers. Ids go on after the
// newest in the file.
func (b *Broker) load(ctx context.Context, tx *bbolt.Tx) error {
	bucket := tx.Bucket(bucketName)
	if bucket == nil {
		return errContent
	}
	return bucket.ForEach(func(key, value []byte) error {
		switch key[0] {
		case beginKind:
			b.last = parseID(value)
			b.replica.LoseBefore(after(b.last))
		case droppedKind:
			channel := string(key[1:])
			b.size.dropped += entrySize + len(channel)
			b.replica.LoseBefore(after(parseID(value)), channel)
		default:
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
		}
		return ctx.Err()
	})
}

// after is the first id above id.
func after(id pubsub.ID) pubsub.ID { return pubsub.ID{id[0], id[1] + 1} }
