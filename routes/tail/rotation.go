package tail

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// rotatedSuffix matches what rotation adds to a name: a number or a time, as in
// app.log.1 and app.log-20261121T0300. Compressed files do not match.
var rotatedSuffix = regexp.MustCompile(`^[.-][0-9][0-9TZ:._-]*$`)

// rotated lists the files that may have been the followed one, the oldest first. Files of
// one tick of the system's clock are ordered by their names: numbers rise with each
// rotation, like times, or all are shifted by one. The generations that are known, the
// oldest first, show which.
func (f *Follower) rotated(known ...*generation) (beside []*generation) {
	path := f.path
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // it is rotated where it is
	}
	dir, base := filepath.Split(path)
	entries, _ := os.ReadDir(filepath.Clean(dir)) // what was read is all there is
	for _, entry := range entries {
		suffix, ok := strings.CutPrefix(entry.Name(), base)
		if !ok || !rotatedSuffix.MatchString(suffix) {
			continue
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			beside = append(beside, &generation{path: filepath.Join(dir, entry.Name()), info: info, inode: inodeOf(info)})
		}
	}
	slices.SortFunc(beside, func(a, b *generation) int {
		return cmp.Or(cmp.Compare(len(a.path), len(b.path)), strings.Compare(a.path, b.path))
	})
	byTime := func(a, b *generation) int { return a.info.ModTime().Compare(b.info.ModTime()) }
	byAge := func(a, b *generation) int {
		byRank := cmp.Compare(rank(known, a), rank(known, b))
		byInode := cmp.Compare(a.inode, b.inode) // most file systems count them up
		return cmp.Or(byTime(a, b), byRank, byInode)
	}
	if n := len(beside); n > 0 && byAge(beside[0], beside[n-1]) > 0 {
		slices.Reverse(beside)
	}
	slices.SortStableFunc(beside, byTime)
	return beside
}

// rank returns the index of the first generation with the file of g, or their number.
func rank(gens []*generation, g *generation) int {
	for i, known := range gens {
		if os.SameFile(known.info, g.info) {
			return i
		}
	}
	return len(gens)
}

// areSame reports whether two lists have the same files by the same names.
func areSame(a, b []*generation) bool {
	return slices.EqualFunc(a, b, func(a, b *generation) bool { return a.path == b.path && os.SameFile(a.info, b.info) })
}

// unread opens the files that were written since that time and have not been read.
func (f *Follower) unread(beside []*generation, since time.Time) (found []*generation) {
	for _, g := range beside {
		isSame := func(other *generation) bool { return os.SameFile(other.info, g.info) }
		isBeingRead := isSame(f.current()) || slices.ContainsFunc(f.queue, isSame)
		if isBeingRead || g.info.ModTime().Before(since) || f.open(g) != nil {
			continue
		}
		if n := f.readBefore(g); n > 0 && n == g.info.Size() {
			f.shut(g)
			continue
		}
		found = append(found, g)
	}
	return found
}

// begin makes generations of the rotated files that are there at the start: they have
// no new lines, but clients that return may have to read them. Then it follows the file.
func (f *Follower) begin() {
	g, offset := &generation{path: f.path}, int64(0)
	if err := f.open(g); err == nil { // or else readAll tries again, and reports it
		offset, _ = backfillStart(g.file, g.info.Size(), keptLines) // 0 if the file shrinks at this moment
	}
	for _, old := range f.rotated() {
		if os.SameFile(old.info, g.info) {
			break // it was renamed at this moment, so those after it have new lines
		}
		if f.open(old) == nil {
			f.follow(old, old.info.Size())
			old.start = old.idAt(0, nil)
		}
	}
	f.shut(f.gens...)
	f.follow(g, offset)
	f.first = g.epoch
	f.memory.lines = []line{{id: f.reader.end}}
	g.start = g.idAt(0, nil) // the feeds can read what is before
}

// look queues the files that have had the followed name since the newest generation,
// and reports whether there are any. If files are renamed meanwhile, it finds none,
// because their names say in which order they were written: another notice follows.
func (f *Follower) look() (more bool, err error) {
	newest := f.current()
	if n := len(f.queue); n > 0 {
		newest = f.queue[n-1]
	}
	if info, err := os.Stat(f.path); err == nil && os.SameFile(info, newest.info) {
		return false, nil
	}
	known := slices.Concat(f.gens, f.queue)
	beside := f.rotated(known...)
	found := f.unread(beside, newest.modTime())
	named := &generation{path: f.path}
	if err = f.open(named); err == nil {
		found = append(found, named)
	}
	if !areSame(beside, f.rotated(known...)) {
		f.shut(found...)
		return false, nil
	}
	f.queue = append(f.queue, found...)
	return len(found) > 0, err
}

// truncated goes on after a truncation. If there is a copy of what the file had, the
// rest of that is read first.
func (f *Follower) truncated() {
	old := f.current()
	var copied generation
	for _, g := range f.unread(f.rotated(), time.Time{}) {
		if copied.file == nil && old.isIn(g.file, f.reader.id()) {
			copied = *g
		} else {
			f.shut(g)
		}
	}
	f.queue = slices.Insert(f.queue, 0, &generation{path: old.path, file: old.file, info: old.info, inode: old.inode})
	f.mu.Lock()
	old.file, old.info = copied.file, copied.info
	f.mu.Unlock()
	f.reader.file = copied.file
}
