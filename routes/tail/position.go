package tail

import (
	"bytes"
	"io"
	"slices"
)

// backfill returns the id before the last n lines of the current file. Before all of
// them that is the end of the file before, because it has a checksum of its lines.
func (f *Follower) backfill(n int) lineID {
	f.mu.Lock()
	g := *f.current()
	first := g.start
	if last := len(f.gens) - 1; last > 0 && f.gens[last-1].info != nil {
		first = f.gens[last-1].end
	}
	f.mu.Unlock()
	at := g.end
	if n > 0 && g.file != nil {
		offset, err := backfillStart(g.file, g.end.offset, n)
		window, errWindow := windowBefore(g.file, offset)
		if err == nil && errWindow == nil { // or else the file was truncated, or is closed
			at = g.idAt(offset, window)
		}
	}
	if at.offset <= g.start.offset {
		return first
	}
	return at
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
	if i := slices.IndexFunc(gens, func(g generation) bool { return g.epoch == id.epoch }); i >= 0 {
		gens = gens[i : i+1]
	} else {
		id.epoch = 0
	}
	f.mu.Lock()
	at, ok = f.memory.find(id)
	f.mu.Unlock()
	if ok {
		return at, true
	}
	if id.epoch == 0 && id.offset == 0 { // there was no file beside, or it is lost
		first := gens[0]
		return first.start, first.epoch == f.first && (id.sum == first.start.sum || id.sum == checksum(0, nil))
	}
	found := 0
	for _, g := range gens {
		if id == g.start || id == g.end {
			return id, true
		}
		if id.offset <= g.start.offset || id.offset > g.end.offset {
			continue
		}
		var window []byte
		err := f.use(&g, func(file io.ReaderAt) (err error) {
			window, err = windowBefore(file, id.offset)
			return err
		})
		isOf := func(original generation) bool { return id.sum == checksum(original.inode, window) }
		if err == nil && slices.ContainsFunc(gens, isOf) {
			at, found = g.idAt(id.offset, window), found+1
		}
	}
	return at, found == 1
}
