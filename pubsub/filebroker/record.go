package filebroker

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/crc32"

	"go.etcd.io/bbolt"

	"example.com/sse-demo/pubsub"
)

// The file has one bucket of records. Its sequence number, which bbolt keeps for any
// purpose, is the sum of their checksums, so that no record can be missing.
var bucketName = []byte("sse-demo records")

// The kinds of records, in the order in which they are loaded.
const (
	lostKind    = iota // the newest event of a channel that is no longer kept; without a channel, of any
	eventKind          // an event of a channel
	messageKind        // a message of the journal, which has no channel
	kinds
)

// recordSize is counted for a record on top of its key and value.
const recordSize = 48

// A record is an entry of the file. Its key is the kind, the id and the channel, its
// value the name, a line feed, and the data.
type record struct {
	kind          byte
	id            pubsub.ID
	channel, name string
	data          []byte
}

func (r record) key() []byte {
	key := binary.BigEndian.AppendUint64([]byte{r.kind}, r.id[0])
	key = binary.BigEndian.AppendUint64(key, r.id[1])
	return append(key, r.channel...)
}

func (r record) value() []byte { return append([]byte(r.name+"\n"), r.data...) }

// parseRecord reads a record, whose data shares the memory of value.
func parseRecord(key, value []byte) record {
	name, data, _ := bytes.Cut(value, []byte("\n"))
	return record{kind: key[0], id: parseID(key), channel: string(key[17:]), name: string(name), data: data}
}

func parseID(key []byte) pubsub.ID {
	return pubsub.ID{binary.BigEndian.Uint64(key[1:]), binary.BigEndian.Uint64(key[9:])}
}

// An account is what all records take and contain.
type account struct {
	size [kinds]int // bytes
	sum  uint64     // of checksums
}

var checksums = crc32.MakeTable(crc32.Castagnoli)

// add adds a record with sign 1, and subtracts it with sign -1.
func (a *account) add(sign int, key, value []byte) {
	a.size[key[0]] += sign * (recordSize + len(key) + len(value))
	a.sum += uint64(sign) * uint64(crc32.Update(crc32.Checksum(key, checksums), checksums, value))
}

// A writer changes the bucket in a transaction.
type writer struct {
	*bbolt.Bucket
	account
	err error // the first, if any
}

// change commits what is written, and returns the account after it.
func change(db *bbolt.DB, before account, write func(*writer)) (after account, err error) {
	w := &writer{account: before}
	err = db.Update(func(tx *bbolt.Tx) (err error) {
		if w.Bucket, err = tx.CreateBucketIfNotExists(bucketName); err != nil {
			return err
		}
		w.FillPercent = 1 // ids rise: nothing is inserted into a page later; and half empty pages are merged
		write(w)
		return cmp.Or(w.err, w.SetSequence(w.sum))
	})
	return w.account, err
}

func (w *writer) put(r record) {
	key, value := r.key(), r.value()
	w.add(1, key, value)
	w.err = cmp.Or(w.err, w.Put(key, value))
}

// remove removes the record with a key, if there is one.
func (w *writer) remove(key []byte) {
	if value := w.Get(key); value != nil {
		w.add(-1, key, value)
		w.err = cmp.Or(w.err, w.Delete(key))
	}
}

// trim removes the oldest records of a kind beyond a limit. It returns the id of the last
// that it has removed, if any.
func (w *writer) trim(kind byte, limit int) (last pubsub.ID) {
	for c := w.Cursor(); w.size[kind] > limit; {
		oldest, _ := c.Seek([]byte{kind})
		last = parseID(oldest)
		w.remove(oldest)
	}
	return last
}
