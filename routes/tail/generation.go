package tail

import (
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
	epoch int64  // when it began, in epochUnit since 1970; it is higher than the one before
	inode uint64 // as the ids have it; the lines may be in a copy with another one
	start lineID // where its lines begin: at 0, unless the file was followed before

	// Guarded by Follower.mu; only the goroutine of Run writes them.
	file file        // nil if it is closed
	info os.FileInfo // nil if no file has the lines: it is missing, or was truncated
	end  lineID      // up to which it was read as lines
}

// epochUnit is shorter than it takes to begin a generation, so that epochs are not ahead
// of the clock, and after a restart no epoch is given again.
const epochUnit = 10 * time.Microsecond

func epochOf(t time.Time) int64 { return t.UnixNano() / int64(epochUnit) }

func timeOf(epoch int64) time.Time { return time.Unix(0, epoch*int64(epochUnit)) }

// idAt returns the id of an offset, which stands after the bytes of window.
func (g *generation) idAt(offset int64, window []byte) lineID {
	return lineID{place{g.epoch, offset}, checksum(g.inode, window)}
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

// isIn reports whether the bytes before an id of the generation are in a file.
func (g *generation) isIn(f io.ReaderAt, id lineID) bool {
	window, err := windowBefore(f, id.offset)
	return err == nil && g.idAt(id.offset, window) == id
}

// isFile reports whether a file is the one of this generation. The inode of a file
// that is closed may have been given to another one, so the content must agree.
func (g *generation) isFile(info os.FileInfo, f io.ReaderAt) bool {
	if g.info == nil || !os.SameFile(g.info, info) {
		return false
	}
	return g.file != nil || g.end.offset > 0 && g.isIn(f, g.end)
}

// openGeneration opens a file as a generation.
func (f *Follower) openGeneration(path string) (*generation, error) {
	file, err := f.openFile(path)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close() // it was only read
		return nil, err
	}
	return &generation{info: info, inode: inodeOf(info), file: file}, nil
}

// generations returns copies of those that are known.
func (f *Follower) generations() []generation {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]generation, len(f.gens))
	for i, g := range f.gens {
		all[i] = *g
	}
	return all
}

// follow makes g the generation that is read, from the offset on, or if that fails,
// from its beginning.
func (f *Follower) follow(g *generation, offset int64) {
	g.epoch = epochOf(time.Now())
	if n := len(f.gens); n > 0 {
		g.epoch = max(g.epoch, f.gens[n-1].epoch+1)
	}
	reader, err := newLineReader(g, g.file, offset)
	if err != nil {
		reader, _ = newLineReader(g, g.file, 0) // reads nothing
	}
	f.reader, g.start, g.end = reader, reader.id(), reader.id()
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
		if g.file != nil && old.isFile(g.info, g.file) && old.isIn(g.file, old.end) {
			return old.end.offset
		}
	}
	return 0
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
