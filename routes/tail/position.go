package tail

import (
	"bytes"
	"io"
	"slices"
	"sync"
	"time"
)

// backfill returns the position before the last n lines of the current file.
func (f *Follower) backfill(n int) position {
	f.mu.Lock()
	g, end := *f.gens[len(f.gens)-1], f.memory.end()
	f.mu.Unlock()
	if end.before(g.start.place) { // nothing was read of it
		end = position{g.start.place, g.start.String()}
	}
	if n == 0 || g.file == nil {
		return end
	}
	start, err := backfillStart(g.file, g.end, n, maxBackfill)
	if err != nil || start == g.end {
		return end
	}
	if start <= g.start.offset {
		return position{g.start.place, g.start.String()}
	}
	window, err := windowBefore(g.file, start)
	if err != nil {
		return end
	}
	id := lineID{place{g.epoch, start}, checksum(g.inode, window)}
	return position{id.place, id.String()}
}

// backfillStart is the offset at which the last n lines before end begin, no
// more than limit bytes before it.
func backfillStart(file io.ReaderAt, end int64, n int, limit int64) (int64, error) {
	start, stop := end, max(end-limit, 0)
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

// resume returns the place of an id that a client gave; ok is false if there is none,
// so that lines after it may be lost.
func (f *Follower) resume(lastEventID string) (p place, ok bool) {
	id, ok := parseID(lastEventID)
	if !ok {
		return place{}, false
	}
	f.mu.Lock()
	gens := make([]generation, len(f.gens))
	isDestroyed := false // so that the same bytes elsewhere are other lines
	for i, g := range f.gens {
		gens[i] = *g
		isDestroyed = isDestroyed || g.epoch == id.epoch && g.destroyed
	}
	p, ok = f.memory.find(id.offset, lastEventID)
	if !ok && !isDestroyed {
		p, ok = f.memory.find(id.offset, id.withoutEpoch())
	}
	f.mu.Unlock()
	switch {
	case ok:
		return p, true
	case id.offset == 0:
		return f.findStart(gens, id)
	default:
		return f.findInFiles(gens, id, isDestroyed)
	}
}

// findInFiles returns the place of a line by its checksum, in a file that is open or
// that has the name of a rotated file. The file may be a copy of the one that the id
// is from. Of a generation that was destroyed, only the end is known.
func (f *Follower) findInFiles(gens []generation, id lineID, isDestroyed bool) (p place, ok bool) {
	beside := sync.OnceValue(f.rotated)
	for _, g := range slices.Backward(gens) {
		if isDestroyed && g.epoch != id.epoch || id.offset < g.start.offset || id.offset > g.end {
			continue
		}
		window := g.window
		if id.offset < g.end || window == nil {
			window = f.windowOf(&g, id.offset, beside)
		}
		isOriginal := func(g generation) bool { return id.sum == checksum(g.inode, window) }
		if window != nil && (isOriginal(g) || slices.ContainsFunc(gens, isOriginal)) {
			return place{g.epoch, id.offset}, true
		}
	}
	return place{}, false
}

// windowOf reads the bytes before an offset of a generation; nil if it cannot.
func (f *Follower) windowOf(g *generation, offset int64, beside func() []sighting) []byte {
	file := g.file
	if file == nil && !g.destroyed {
		if file = f.reopen(g, beside()); file != nil {
			defer func() { _ = file.Close() }() // it was only read
		}
	}
	if file == nil {
		return nil
	}
	window, err := windowBefore(file, offset)
	if err != nil {
		return nil
	}
	return window
}

// findStart returns the start of a file. The id of an earlier process is good for the
// same file, or if there was none, for the first file since: there must not have been
// another one that was rotated meanwhile.
func (f *Follower) findStart(gens []generation, id lineID) (p place, ok bool) {
	isEarlier, isMissing := id.epoch < f.first, id.sum == checksum(0, nil)
	for _, g := range slices.Backward(gens) {
		isRecalled := g.epoch < f.first
		switch {
		case g.start == id:
			return g.start.place, true
		case !isEarlier:
		case isMissing && isRecalled:
			return p, ok && g.info.ModTime().Before(time.UnixMilli(id.epoch).Add(-clockLag))
		case isMissing:
			p, ok = g.start.place, g.epoch == f.first
		case !isRecalled && g.start.sum == id.sum && g.start.offset == 0:
			return g.start.place, true
		}
	}
	return p, ok
}
