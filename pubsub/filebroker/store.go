package filebroker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	boltErrors "go.etcd.io/bbolt/errors"

	"example.com/sse-demo/pubsub"
)

// The buckets of the file.
var (
	recordsBucket = []byte("records") // by id: events, and messages of the journal
	droppedBucket = []byte("dropped") // by channel: the id of the newest event that is no longer kept
	aboutBucket   = []byte("about")

	buckets = [][]byte{recordsBucket, droppedBucket, aboutBucket}
)

// The keys of aboutBucket.
var (
	formKey      = []byte("form")
	beginKey     = []byte("begin")     // the id after which the order of ids begins
	forgottenKey = []byte("forgotten") // events of any channel up to this id may be gone
)

const form = "sse-demo 1"

const (
	lockTimeout = time.Second
	// growth is by how much the file grows at once.
	growth = 1 << 20
	// compactBatch is how many bytes of a database that is written anew share a commit.
	compactBatch = 4 << 20
)

// openFile opens a data file that is whole, or creates one.
func openFile(path string) (*bbolt.DB, error) {
	if file, err := filepath.EvalSymlinks(path); err == nil {
		path = file
	}
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		if err := create(path); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no regular file")
	case info.Size() == 0:
		return nil, errors.New("it is empty; remove it to begin anew")
	}
	// Reading, it excludes a process that writes, and needs only the meta pages.
	reading, err := bbolt.Open(path, 0, &bbolt.Options{ReadOnly: true, Timeout: lockTimeout})
	if err == nil {
		err = verify(path)
		_ = reading.Close()
	}
	if err != nil {
		return nil, plain(err)
	}
	return openWhole(path)
}

func openWhole(path string) (*bbolt.DB, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return nil, plain(err)
	}
	db.AllocSize = growth
	return db, nil
}

// create makes an empty data file under another name first, so that a file that was
// not made completely is never found.
func create(path string) error {
	half := path + ".new"
	if err := os.Remove(half); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	db, err := bbolt.Open(half, 0o600, &bbolt.Options{Timeout: lockTimeout})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range buckets {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		about := tx.Bucket(aboutBucket)
		return errors.Join(about.Put(formKey, []byte(form)), putID(about, beginKey, pubsub.ID{}.Next()))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	return rename(half, path)
}

// compact writes a database anew, without its free pages, in place of its file. It
// returns nil if the disk has no room for both.
func compact(db *bbolt.DB) (*bbolt.DB, error) {
	path, half := db.Path(), db.Path()+".new"
	_ = os.Remove(half)
	small, err := bbolt.Open(half, 0o600, &bbolt.Options{Timeout: lockTimeout})
	if err == nil {
		err = errors.Join(bbolt.Compact(small, db, compactBatch), small.Close())
	}
	if err == nil {
		err = rename(half, path)
	}
	if err != nil {
		_ = os.Remove(half)
		return nil, nil //nolint:nilerr // it was an attempt
	}
	_ = db.Close()
	return openWhole(path)
}

// rename gives a file another name, so that the name survives a power cut, too.
func rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	if folder, err := os.Open(filepath.Dir(to)); err == nil {
		_ = folder.Sync() // not every system can
		_ = folder.Close()
	}
	return nil
}

// plain says what the operator can do.
func plain(err error) error {
	switch {
	case errors.Is(err, boltErrors.ErrTimeout):
		return errors.New("another process has it open")
	case errors.Is(err, boltErrors.ErrInvalid), errors.Is(err, boltErrors.ErrVersionMismatch), errors.Is(err, boltErrors.ErrChecksum):
		return errOther
	default:
		return err
	}
}

// key returns an id as a key: keys have the order of their ids.
func key(id pubsub.ID) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(make([]byte, 0, 16), id[0]), id[1])
}

func parseKey(key []byte) (pubsub.ID, error) {
	if len(key) != 16 {
		return pubsub.ID{}, fmt.Errorf("it is damaged: the key %x", key)
	}
	return pubsub.ID{binary.BigEndian.Uint64(key), binary.BigEndian.Uint64(key[8:])}, nil
}

var checksums = crc32.MakeTable(crc32.Castagnoli)

func checksum(key, content []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, checksums), checksums, content)
}

// seal fills in the first bytes of a value: a checksum of its key and of what follows.
func seal(key, value []byte) []byte {
	binary.BigEndian.PutUint32(value, checksum(key, value[crc32.Size:]))
	return value
}

// unseal returns what follows the checksum.
func unseal(key, value []byte) ([]byte, error) {
	if len(value) < crc32.Size || binary.BigEndian.Uint32(value) != checksum(key, value[crc32.Size:]) {
		return nil, fmt.Errorf("it is damaged: the entry of %q", key)
	}
	return value[crc32.Size:], nil
}

// putID keeps an id under a key.
func putID(bucket *bbolt.Bucket, name []byte, id pubsub.ID) error {
	return bucket.Put(name, seal(name, append(make([]byte, crc32.Size), key(id)...)))
}

func parseID(name, value []byte) (pubsub.ID, error) {
	content, err := unseal(name, value)
	if err != nil {
		return pubsub.ID{}, err
	}
	return parseKey(content)
}

// A record is what is kept of an event, or of a message of the journal, which has no
// channel.
type record struct {
	id            pubsub.ID
	channel, name string
	data          []byte
}

// value is channel and name, each after its length, and the data, sealed.
func (r *record) value() []byte {
	b := make([]byte, crc32.Size, crc32.Size+2*binary.MaxVarintLen16+len(r.channel)+len(r.name)+len(r.data))
	for _, text := range []string{r.channel, r.name} {
		b = binary.AppendUvarint(b, uint64(len(text)))
		b = append(b, text...)
	}
	return seal(key(r.id), append(b, r.data...))
}

// parseRecord reads a record. Its data shares the memory of value.
func parseRecord(k, value []byte) (r record, err error) {
	if r.id, err = parseKey(k); err != nil {
		return record{}, err
	}
	if r.data, err = unseal(k, value); err != nil {
		return record{}, fmt.Errorf("it is damaged: the event %s", r.id)
	}
	for _, text := range []*string{&r.channel, &r.name} {
		size, n := binary.Uvarint(r.data)
		if n <= 0 || size > uint64(len(r.data)-n) {
			return record{}, fmt.Errorf("it is damaged: the event %s", r.id)
		}
		*text = string(r.data[n : n+int(size)])
		r.data = r.data[n+int(size):]
	}
	return r, nil
}

// read passes all records to see, in the order of their ids.
func read(tx *bbolt.Tx, see func(record) error) error {
	return tx.Bucket(recordsBucket).ForEach(func(k, value []byte) error {
		r, err := parseRecord(k, value)
		if err != nil {
			return err
		}
		return see(r)
	})
}
