package tail

import (
	"bytes"
	"io"
	"slices"
	"sync"
	"time"
)

// backfill returns the id before the last n lines of the current file.
func (f *Follower) backfill(n int) lineID {
	f.mu.Lock()
	g, end := *f.gens[len(f.gens)-1], f.memory.end()
	f.mu.Unlock()
	if end.before(g.start.place) { // nothing was read of it
		end = g.start
	}
	if n == 0 || g.file == nil {
		return end
	}
	start, err := backfillStart(g.file, g.end, n, maxBackfill)
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
	return lineID{place{g.epoch, start}, checksum(g.inode, window)}
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

// resume returns the id that a client gave, in the place that it has in this process;
// ok is false if it has none, so that lines after it may be lost.
func (f *Follower) resume(lastEventID string) (at lineID, ok bool) {
	id, ok := parseID(lastEventID)
	if !ok {
		return lineID{}, false
	}
	f.mu.Lock()
	gens := make([]generation, len(f.gens))
	isDestroyed := false // so that the same bytes elsewhere are other lines
	for i, g := range f.gens {
		gens[i] = *g
		isDestroyed = isDestroyed || g.epoch == id.epoch && g.destroyed
	}
	p, ok := f.memory.find(id)
	if !ok && !isDestroyed {
		p, ok = f.memory.find(lineID{place{0, id.offset}, id.sum})
	}
	f.mu.Unlock()
	switch {
	case ok:
	case id.offset == 0:
		p, ok = f.findStart(gens, id)
	default:
		p, ok = f.findInFiles(gens, id, isDestroyed)
	}
	return lineID{p, id.sum}, ok
}

// findInFiles returns the place of a line by its checksum, in a file that is open or
// that has the name of a rotated file. That may be a copy of the file that the id is
// from. If several files have the same bytes there, none of them is it. Of a
// generation that was destroyed, only the end is known.
func (f *Follower) findInFiles(gens []generation, id lineID, isDestroyed bool) (p place, ok bool) {
	beside := sync.OnceValue(f.rotated)
	found := 0
	for _, g := range slices.Backward(gens) {
		if isDestroyed && g.epoch != id.epoch || id.offset < g.start.offset || id.offset > g.end {
			continue
		}
		window := g.window
		if id.offset < g.end || window == nil {
			window = f.windowOf(&g, id.offset, beside)
		}
		isOriginal := func(g generation) bool { return id.sum == checksum(g.inode, window) }
		switch {
		case window == nil || !isOriginal(g) && !slices.ContainsFunc(gens, isOriginal):
		case g.epoch == id.epoch:
			return place{g.epoch, id.offset}, true
		default:
			p, found = place{g.epoch, id.offset}, found+1
		}
	}
	return p, found == 1
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
	isEarlier, wasMissing, isMissed := id.epoch < f.first, id.sum == checksum(0, nil), false
	since := time.UnixMilli(id.epoch).Add(-clockLag)
	for _, g := range gens {
		isRecalled := g.epoch < f.first // it was rotated before this process began
		switch {
		case g.start == id:
			return id.place, true
		case !isEarlier:
		case isRecalled:
			isMissed = isMissed || !g.info.ModTime().Before(since)
		case wasMissing:
			return g.start.place, g.epoch == f.first && !isMissed
		case g.start.sum == id.sum:
			return g.start.place, g.start.offset == 0
		}
	}
	return place{}, false
}
