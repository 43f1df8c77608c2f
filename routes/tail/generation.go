package tail

import (
	"bytes"
	"io"
	"os"
	"slices"
	"time"
)

// A file is what an [os.File] is to a follower.
type file interface {
	io.ReaderAt
	io.Closer
	Stat() (os.FileInfo, error)
}

// A generation is one file that the followed name has stood for, until its
// truncation. A missing file counts as a generation, too.
type generation struct {
	epoch int64       // generations are numbered by the time at which they began, in Unix ms
	info  os.FileInfo // nil for a missing file
	inode uint64      // as the ids have it; the file may be a copy with another one
	start lineID      // where its lines begin: at 0, unless the file was followed before

	// Guarded by Follower.mu; only the goroutine of Run writes them.
	file      file   // nil if it is closed
	end       int64  // offset up to which it was read as lines
	window    []byte // the bytes before end, once all was read
	destroyed bool   // a truncation took what it had
}

// newGeneration returns the generation of an open file, and closes it on an error.
func newGeneration(f file) (*generation, error) {
	info, err := f.Stat()
	if err != nil {
		_ = f.Close() // it was only read
		return nil, err
	}
	return &generation{info: info, inode: inodeOf(info), file: f}, nil
}

// modTime is when the file was written last.
func (g *generation) modTime() time.Time {
	if g.file != nil {
		if info, err := g.file.Stat(); err == nil {
			return info.ModTime()
		}
	}
	return g.info.ModTime()
}

// isFile reports whether a file is the one of this generation. The inode of a file
// that is closed may have been given to another one, so the content must agree.
func (g *generation) isFile(info os.FileInfo, f io.ReaderAt) bool {
	if g.info == nil || g.destroyed || !os.SameFile(g.info, info) {
		return false
	}
	return g.file != nil || g.end > 0 && endsWith(f, g.end, g.window)
}

// endsWith reports whether the bytes of a file before the offset are those of window.
func endsWith(f io.ReaderAt, offset int64, window []byte) bool {
	found, err := windowBefore(f, offset)
	return err == nil && bytes.Equal(found, window)
}

// follow makes g the generation that is read.
func (f *Follower) follow(g *generation) {
	f.epoch = max(f.epoch+1, time.Now().UnixMilli())
	g.epoch = f.epoch
	f.current = g
	f.begin(f.readBefore(g))
	g.start = f.reader.id()
	f.mu.Lock()
	f.gens = append(f.gens, g)
	f.gens = slices.Delete(f.gens, 0, max(len(f.gens)-maxKnown, 0))
	f.mu.Unlock()
	f.limitOpen()
}

// readBefore is the offset up to which the file was read when it had the followed name
// before.
func (f *Follower) readBefore(g *generation) int64 {
	for _, old := range slices.Backward(f.gens) {
		if old != g && g.file != nil && old.isFile(g.info, g.file) && endsWith(g.file, old.end, old.window) {
			return old.end
		}
	}
	return 0
}

// begin reads the current generation from the offset on, or if that fails, from its
// beginning.
func (f *Follower) begin(offset int64) {
	reader, err := newLineReader(f.current.file, f.current, offset)
	if err != nil {
		reader, _ = newLineReader(f.current.file, f.current, 0) // reads nothing
	}
	f.reader = reader
	f.mu.Lock()
	defer f.mu.Unlock()
	f.current.end = reader.read
}

// finish notes where the current generation ends.
func (f *Follower) finish() {
	f.add(f.reader.rest())
	f.mu.Lock()
	defer f.mu.Unlock()
	f.current.end = f.reader.read
	f.current.window = bytes.Clone(f.reader.window)
}

// limitOpen closes the oldest of too many files.
func (f *Follower) limitOpen() {
	open := 0
	for _, g := range slices.Backward(f.gens) {
		if g.file == nil {
			continue
		}
		if open++; open > maxOpen {
			f.shut(g)
		}
	}
}

// shut closes the files of generations; feeds that still read them notice.
func (f *Follower) shut(gs ...*generation) {
	for _, g := range gs {
		f.mu.Lock()
		file := g.file
		g.file = nil
		f.mu.Unlock()
		if file != nil {
			_ = file.Close() // it was only read
		}
	}
}

// reopen opens the file of a generation that is closed, under the name that rotation
// gave it. It returns nil if there is none.
func (f *Follower) reopen(g *generation, beside []sighting) file {
	for _, s := range beside {
		if g.info == nil || !os.SameFile(g.info, s.info) {
			continue
		}
		found, err := f.openFile(s.path)
		if err != nil {
			continue
		}
		if info, err := found.Stat(); err == nil && g.isFile(info, found) {
			return found
		}
		_ = found.Close() // it was only read
	}
	return nil
}
