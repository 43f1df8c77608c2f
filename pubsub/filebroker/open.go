package filebroker

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"example.com/sse-demo/pubsub"
)

// lockTimeout is how long a start waits for another process to end.
const lockTimeout = time.Second

// openLog opens the data file, or creates it. Its errors do not name the file.
func openLog(path string) (*log, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = create(path)
	case err != nil:
	case !info.Mode().IsRegular():
		err = errors.New("it is no regular file")
	case info.Size() == 0:
		err = errors.New("it is empty; remove it to begin anew")
	}
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	l := &log{File: file}
	for end := time.After(lockTimeout); lock(file) != nil; {
		select {
		case <-time.After(lockTimeout / 20):
		case <-end:
			return l, errors.New("another process has it open")
		}
	}
	return l, l.readHeader()
}

// create writes a log without events under another name first, so that a kill never
// leaves half of one.
func create(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return errors.New("it is a link to a file that does not exist")
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	l := log{File: file, begin: headerSize, end: headerSize}
	begin := record{kind: lossKind, id: pubsub.ID{}.Next()} // an older id is not from this file
	if err = errors.Join(l.append(begin.appendTo(nil)), file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
		return err
	}
	if folder, err := os.Open(filepath.Dir(path)); err == nil { // a power cut must not undo the name
		_ = folder.Sync() // not every system can
		_ = folder.Close()
	}
	return nil
}

// plain returns why a file cannot be opened, without a name: a caller has that, and err
// may have another.
func plain(err error) error {
	if pathError, ok := errors.AsType[*os.PathError](err); ok {
		return pathError.Err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) { // the file was cut
		return errContent
	}
	return err
}
