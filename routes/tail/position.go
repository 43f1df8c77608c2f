package tail

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
)

// backfill returns the id before the last n lines of the current file.
func (f *Follower) backfill(n int) lineID {
	f.mu.Lock()
	g, end := *f.current(), f.memory.end()
	f.mu.Unlock()
	if end.before(g.start.place) { // nothing was read of it
		end = g.start
	}
	if n == 0 || g.file == nil {
		return end
	}
	start, err := backfillStart(g.file, g.end, n)
	if err != nil || start == g.end {
		return end
	}
	if start <= g.start.offset {
		return g.start
	}
	window, err := windowBefore(g.file, start)
	if err != nil {
		return end
	}
	return g.idAt(start, window)
}

// backfillStart is the offset at which the last n lines before end begin, no more than
// maxBackfill before it.
func backfillStart(file io.ReaderAt, end int64, n int) (int64, error) {
	start, stop := end, max(end-maxBackfill, 0)
	buf := make([]byte, chunkSize)
	for at := end; at > stop; {
		chunk := buf[:min(at-stop, chunkSize)]
		at -= int64(len(chunk))
		if _, err := file.ReadAt(chunk, at); err != nil {
			return 0, err
		}
		if bytes.IndexByte(chunk, '\n') < 0 { // much faster than LastIndexByte
			continue
		}
		for i := bytes.LastIndexByte(chunk, '\n'); i >= 0; i = bytes.LastIndexByte(chunk[:i], '\n') {
			if start = at + int64(i) + 1; n == 0 {
				return start, nil
			}
			n--
		}
	}
	if stop == 0 {
		return 0, nil
	}
	return start, nil // after the first line end within the limit
}

// resume returns the id that a client gave, in the place that it has in this process;
// ok is false if it has none, so that lines after it may be lost. An id of this process
// has its epoch. The line of an earlier one is found by its checksum, in a file that is
// open or that has the name of a rotated one; if several have it, none of them is it.
func (f *Follower) resume(lastEventID string) (at lineID, ok bool) {
	id, ok := parseID(lastEventID)
	if !ok {
		return lineID{}, false
	}
	f.mu.Lock()
	gens, isOurs := make([]generation, len(f.gens)), false
	for i, g := range f.gens {
		gens[i] = *g
		isOurs = isOurs || g.epoch == id.epoch && g.epoch >= f.first
	}
	p, ok := f.memory.find(id, isOurs)
	f.mu.Unlock()
	if ok {
		return lineID{p, id.sum}, true
	}
	if !isOurs && id.offset == 0 {
		return f.findStart(gens, id)
	}
	beside := sync.OnceValue(f.rotated)
	found := 0
	for _, g := range gens {
		isHere := g.start.offset <= id.offset && id.offset <= g.end
		if isHere && (g.epoch == id.epoch || !isOurs) && f.hasLine(&g, id, gens, beside) {
			at, found = lineID{place{g.epoch, id.offset}, id.sum}, found+1
		}
	}
	return at, found == 1
}

// findStart returns the start of the first file of this process, for the id that an
// earlier one gave at the start of that file, or if there was none. Lines may be lost
// if another file was rotated away since, which may also be a copy of that one.
func (f *Follower) findStart(gens []generation, id lineID) (at lineID, ok bool) {
	wasMissing := id.sum == checksum(0, nil)
	since := timeOf(id.epoch)
	if wasMissing {
		since = since.Add(-clockLag)
	}
	for _, g := range gens {
		if g.epoch == f.first {
			return g.start, wasMissing || g.start.sum == id.sum
		}
		if !g.info.ModTime().Before(since) {
			break
		}
	}
	return lineID{}, false
}

// hasLine reports whether a line of this id ends in the generation. It may be in a copy
// of the file that the id is from.
func (f *Follower) hasLine(g *generation, id lineID, gens []generation, beside func() []sighting) bool {
	if id == g.start {
		return true
	}
	window := g.window
	if id.offset < g.end || window == nil { // of a file that was truncated, only the end is known
		file, leave, err := f.use(g, beside)
		if err != nil {
			return false
		}
		defer leave()
		if window, err = windowBefore(file, id.offset); err != nil {
			return false
		}
	}
	isOf := func(original generation) bool { return id.sum == checksum(original.inode, window) }
	return slices.ContainsFunc(gens, isOf)
}

// use returns the file of a generation, and a function to call after use. A file that
// is closed is opened again by the name that rotation gave it.
func (f *Follower) use(g *generation, beside func() []sighting) (file io.ReaderAt, leave func(), err error) {
	if g.file != nil {
		return g.file, func() {}, nil
	}
	for _, s := range beside() {
		if g.info == nil || !os.SameFile(g.info, s.info) {
			continue
		}
		found, err := f.openFile(s.path)
		if err != nil {
			continue
		}
		if info, err := found.Stat(); err == nil && g.isFile(info, found) {
			return found, func() { _ = found.Close() }, nil // it was only read
		}
		_ = found.Close()
	}
	return nil, nil, fs.ErrNotExist
}

// generation returns copies of the generation with this epoch and of the next one; nil
// if there is none.
func (f *Follower) generation(epoch int64) (g, next *generation) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, known := range f.gens {
		if known.epoch != epoch {
			continue
		}
		one := *known
		g = &one
		if i+1 < len(f.gens) {
			two := *f.gens[i+1]
			next = &two
		}
	}
	return g, next
}
