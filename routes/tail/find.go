package tail

import (
	"os"
	"slices"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

// backfill returns the location before the last n lines of the current file, and
// its id.
func (f *Follower) backfill(n int) (location, pubsub.ID) {
	f.mu.Lock()
	g, end, file := f.current.hold(), f.current.end, f.current.file
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.release(g)
	}()
	if n == 0 || end == 0 || file == nil {
		return f.atEnd()
	}
	start, err := backfillStart(file, end, n, maxBackfill)
	if err != nil || start == end {
		return f.atEnd()
	}
	if start == 0 {
		l, ok := f.locate(g.before.line)
		if !ok {
			return f.atEnd()
		}
		return l, g.start
	}
	window, err := windowBefore(file, start)
	if err != nil {
		return f.atEnd()
	}
	id := pubsub.ID{g.mark(window), uint64(start)}
	l, ok := f.locate(pubsub.ID{g.number, uint64(start)})
	if !ok {
		return f.atEnd()
	}
	l.id = []byte(id.String())
	return l, id
}

// resume returns the location right after the id that a client gave; ok is false
// if there is none.
func (f *Follower) resume(lastEventID string) (l location, ok bool) {
	id, ok := pubsub.ParseID(lastEventID)
	if !ok {
		return l, false
	}
	for _, find := range []func(pubsub.ID) (pubsub.ID, bool){f.findStart, f.findInFiles, f.findEarlierStart, f.findInMemory} {
		if line, ok := find(id); ok {
			return f.locate(line)
		}
	}
	return l, false
}

// findStart returns the line before the generation that begins at id.
func (f *Follower) findStart(id pubsub.ID) (line pubsub.ID, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, g := range f.known {
		if g.start == id || g.before.id == id {
			return g.before.line, true
		}
	}
	return line, false
}

// findEarlierStart is findStart for an id that the service gave before a restart:
// of the same file, or of a time at which there was none. In that case all files
// since must be known.
func (f *Follower) findEarlierStart(id pubsub.ID) (line pubsub.ID, ok bool) {
	since, mark := id[0]>>32, id[0]&(1<<32-1)
	if id[1] != 0 || since == 0 || since > f.began {
		return line, false
	}
	f.mu.Lock()
	known := slices.Clone(f.known)
	f.mu.Unlock()
	for _, g := range slices.Backward(known) {
		if g.inode != 0 && mark == markAt(g.inode, nil) {
			return g.before.line, true
		}
	}
	if first := known[0]; mark == markAt(0, nil) && first.number == 1 && !f.missed(int64(since), known) {
		return first.before.line, true
	}
	return line, false
}

// missed reports whether a rotated file that is not known was written since that
// Unix time.
func (f *Follower) missed(since int64, known []*generation) bool {
	for _, path := range f.rotated() {
		info, err := os.Lstat(path)
		if err == nil && info.ModTime().Unix() >= since && !contains(known, info) {
			return true
		}
	}
	return false
}

// findInFiles returns the line that ends at id in one of the open files.
func (f *Follower) findInFiles(id pubsub.ID) (line pubsub.ID, ok bool) {
	type candidate struct {
		*generation
		file *handle
	}
	var candidates []candidate
	f.mu.Lock()
	salt := id[0] >> 32
	isEarlier := salt > 0 && !slices.ContainsFunc(f.known, func(g *generation) bool { return g.salt == salt }) // of before a restart
	for _, g := range slices.Backward(f.known) {
		if g.users > 0 && !g.gone && g.file != nil && id[1] > 0 && id[1] <= uint64(g.end) {
			candidates = append(candidates, candidate{g.hold(), g.file})
		}
	}
	f.mu.Unlock()
	for _, c := range candidates {
		if !ok {
			window, err := windowBefore(c.file, int64(id[1]))
			ok = err == nil && (c.mark(window) == id[0] || isEarlier && markAt(c.inode, window) == id[0]&(1<<32-1))
			line = pubsub.ID{c.number, id[1]}
		}
		f.mu.Lock()
		f.release(c.generation)
		f.mu.Unlock()
	}
	return line, ok
}

// findInMemory returns the line with this id in the log, for one whose file is
// closed.
func (f *Follower) findInMemory(id pubsub.ID) (line pubsub.ID, ok bool) {
	all := f.lines.Subscribe(pubsub.Start{Replay: keptLines + 1})
	defer all.Close()
	want := id.String()
	for {
		entries, ok := all.Read(nil)
		if !ok || len(entries) == 0 {
			return line, false
		}
		for _, e := range entries {
			if string(sse.FrameID(e.Frame)) == want {
				return e.ID, true
			}
		}
	}
}
