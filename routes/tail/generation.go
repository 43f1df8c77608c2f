package tail

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	path  string // where it was found
	epoch int64  // when it began, see epochOf; it is higher than the one before
	inode uint64 // as the ids have it, 0 if it is missing; the lines may be in a copy with another one
	start lineID // where its lines begin: at 0, unless the file was followed before

	// Guarded by Follower.mu; only the goroutine of Run writes them.
	file file        // nil if it is closed
	info os.FileInfo // nil if no file has the lines: it is missing, or was truncated
	end  lineID      // up to which it was read as lines
}

// epochOf counts units of 10 µs. To begin a generation takes longer, so epochs are not ahead
// of the clock, and after a restart no epoch is given again.
func epochOf(t time.Time) int64 { return t.UnixMicro() / 10 }

// idAt returns the id of an offset, which stands after the bytes of window.
func (g *generation) idAt(offset int64, window []byte) lineID {
	return lineID{g.epoch, offset, checksum(g.inode, window)}
}

// isIn reports whether the bytes before an id of the generation are in a file. The same
// inode is not enough: if a file is gone, another one may get its inode.
func (g *generation) isIn(f io.ReaderAt, id lineID) bool {
	window, err := windowBefore(f, id.offset)
	return err == nil && g.idAt(id.offset, window) == id
}

// modTime is when the file was written last; the zero time if it is missing.
func (g *generation) modTime() (t time.Time) {
	if g.file != nil {
		if info, err := g.file.Stat(); err == nil {
			t = info.ModTime()
		}
	}
	return t
}

// Check returns an error if path can never be followed.
func Check(path string) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s: not a regular file", path)
	}
	return nil
}

// open opens the file of a generation that is not followed yet.
func (f *Follower) open(g *generation) error {
	if err := Check(g.path); err != nil { // opening a pipe would wait for its writer
		return err
	}
	file, err := f.openFile(g.path)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close() // it was only read
		return err
	}
	g.file, g.info, g.inode = file, info, inodeOf(info)
	return nil
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

// use calls read with the file of a generation. A file that is closed is opened again
// by the name that rotation gave it, which may change while it is looked for.
func (f *Follower) use(g *generation, read func(io.ReaderAt) error) error {
	if g.file != nil {
		if err := read(g.file); !errors.Is(err, os.ErrClosed) {
			return err
		}
	}
	for {
		beside := f.rotated()
		for _, found := range beside {
			if os.SameFile(g.info, found.info) && f.open(found) == nil {
				defer f.shut(found)
				if g.isIn(found.file, g.end) {
					return read(found.file)
				}
			}
		}
		if areSame(beside, f.rotated()) {
			return fs.ErrNotExist
		}
	}
}

// generations returns copies of those that are known.
func (f *Follower) generations() (all []generation) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, g := range f.gens {
		all = append(all, *g)
	}
	return all
}

// indexOf returns the index of the generation with the epoch, or -1.
func indexOf(gens []generation, epoch int64) int {
	return slices.IndexFunc(gens, func(g generation) bool { return g.epoch == epoch })
}

// follow makes g the generation that is read, from the offset on.
func (f *Follower) follow(g *generation, offset int64) {
	g.epoch = epochOf(time.Now())
	if n := len(f.gens); n > 0 {
		g.epoch = max(g.epoch, f.gens[n-1].epoch+1)
	}
	f.reader, _ = newLineReader(g, g.file, offset) // if the file has shrunk, fill finds that
	g.start, g.end = f.reader.end, f.reader.end
	f.mu.Lock()
	f.gens = append(f.gens, g)
	f.gens = slices.Delete(f.gens, 0, max(len(f.gens)-maxKnown, 0))
	f.mu.Unlock()
	if n := len(f.gens); n > maxOpen {
		f.shut(f.gens[n-1-maxOpen])
	}
}

// readBefore is the offset up to which the file was read when it had the followed name
// before.
func (f *Follower) readBefore(g *generation) int64 {
	for _, old := range slices.Backward(f.gens) {
		if g.file != nil && os.SameFile(old.info, g.info) && old.isIn(g.file, old.end) {
			return old.end.offset
		}
	}
	return 0
}
