package filebroker

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	boltErrors "go.etcd.io/bbolt/errors"

	"example.com/sse-demo/pubsub"
)

const (
	lockTimeout = time.Second
	// growth is by how much the file grows at once.
	growth = 1 << 20
)

var (
	errContent = errors.New("it is damaged, or no data file of this version of sse-demo")
	errHeld    = errors.New("another process has it open")
)

// plain returns an error that names the cure. Callers name the file.
func plain(err error) error {
	pathError, ok := errors.AsType[*os.PathError](err)
	switch {
	case ok:
		return pathError.Err // it may name another file
	case errors.Is(err, boltErrors.ErrTimeout):
		return errHeld
	case errors.Is(err, boltErrors.ErrInvalid), errors.Is(err, boltErrors.ErrVersionMismatch), errors.Is(err, boltErrors.ErrChecksum):
		return errContent
	default:
		return err
	}
}

// open opens the file if it is whole, or creates it, and loads it.
func (b *Broker) open(ctx context.Context) error {
	file, err := filepath.EvalSymlinks(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		file = b.path
		err = create(file)
	}
	if err != nil {
		return err
	}
	if err := b.load(ctx, file); err != nil {
		return err
	}
	if b.db, err = openWhole(file); err != nil {
		return err
	}
	if b.transaction() != b.loaded {
		return errHeld // or had, between the two locks
	}
	b.probe, err = os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".probe-*")
	if err != nil {
		return err
	}
	_ = os.Remove(b.probe.Name())
	b.tryRoom()
	if err := os.Chmod(file, 0o600); err != nil {
		return err
	}
	return b.shrink(file)
}

func openWhole(path string) (*bbolt.DB, error) {
	// Without a list of free pages in the file none can be damaged: bbolt then looks which pages are in use.
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	if err == nil {
		db.AllocSize = growth
	}
	return db, err
}

func create(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return errors.New("it is a link to a file that does not exist")
	}
	return writeAnew(path, func(db *bbolt.DB) error {
		_, err := change(db, account{}, func(w *writer) {
			w.put(record{kind: lostKind, id: pubsub.ID{}.Next()}) // the order of ids begins now
		})
		return err
	})
}

// shrink makes the file smaller if it was written with a larger history, which bbolt
// itself never does. If the disk has no room for both, the file stays as it is.
func (b *Broker) shrink(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.Size() <= b.maxFile || b.save(nil) != nil {
		return err
	}
	_ = writeAnew(path, func(small *bbolt.DB) error { return bbolt.Compact(small, b.db, maxBatch) })
	_ = b.db.Close()
	b.db, err = openWhole(path)
	return err
}

// writeAnew writes a database under another name first, so that a file that was not
// written completely is never found.
func writeAnew(path string, fill func(*bbolt.DB) error) error {
	half := path + ".new"
	_ = os.Remove(half)
	db, err := openWhole(half)
	if err == nil {
		err = errors.Join(fill(db), db.Close())
	}
	if err == nil {
		err = os.Rename(half, path)
	}
	if err != nil {
		_ = os.Remove(half)
		return err
	}
	if folder, err := os.Open(filepath.Dir(path)); err == nil { // the name has to survive a power cut, too
		_ = folder.Sync() // not every system can
		_ = folder.Close()
	}
	return nil
}
