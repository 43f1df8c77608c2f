package tail

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"slices"
)

// backfill returns the id before the last n lines of the current file.
func (f *Follower) backfill(n int) lineID {
	f.mu.Lock()
	g := *f.current()
	f.mu.Unlock()
	if n == 0 || g.file == nil {
		return g.end
	}
	offset, err := backfillStart(g.file, g.end.offset, n)
	if err == nil && offset <= g.start.offset {
		return g.start
	}
	window, errWindow := windowBefore(g.file, offset)
	if err != nil || errWindow != nil {
		return g.end // the file was truncated, or is closed
	}
	return g.idAt(offset, window)
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

// resume returns the id that the line of a client's id has in this process; ok is false
// if it has none, so that lines after it may be lost. An id of this process has its
// epoch. The line of an earlier one is found by its checksum, in a file that is open or
// beside; it may be a copy. If several have it, none of them is it.
func (f *Follower) resume(lastEventID string) (at lineID, ok bool) {
	id, ok := parseID(lastEventID)
	if !ok {
		return lineID{}, false
	}
	gens := f.generations()
	isOurs := slices.ContainsFunc(gens, func(g generation) bool { return g.epoch == id.epoch })
	f.mu.Lock()
	at, ok = f.memory.find(id, isOurs)
	f.mu.Unlock()
	if ok {
		return at, true
	}
	if !isOurs && id.offset == 0 {
		return f.findStart(gens, id)
	}
	found := 0
	for _, g := range gens {
		if isOurs && g.epoch != id.epoch || id.offset < g.start.offset || id.offset > g.end.offset {
			continue
		}
		if id == g.start || id == g.end {
			return id, true
		}
		window, err := f.windowOf(&g, id.offset)
		isOf := func(original generation) bool { return id.sum == checksum(original.inode, window) }
		if err == nil && slices.ContainsFunc(gens, isOf) {
			at, found = g.idAt(id.offset, window), found+1
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

// windowOf returns the bytes before an offset of a generation.
func (f *Follower) windowOf(g *generation, offset int64) ([]byte, error) {
	file, leave, err := f.use(g)
	if err != nil {
		return nil, err
	}
	defer leave()
	return windowBefore(file, offset)
}

// use returns the file of a generation, and a function to call after use. A file that
// is closed is opened again by the name that rotation gave it.
func (f *Follower) use(g *generation) (file io.ReaderAt, leave func(), err error) {
	if g.file != nil {
		return g.file, func() {}, nil
	}
	for _, s := range f.rotated() {
		if g.info == nil || !os.SameFile(g.info, s.info) {
			continue
		}
		if found, err := f.openGeneration(s.path); err == nil {
			if g.isFile(found.info, found.file) {
				return found.file, func() { f.shut(found) }, nil
			}
			f.shut(found)
		}
	}
	return nil, nil, fs.ErrNotExist
}
