package tail

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// clockLag is how much older than the clock the time of a file that was just written
// may be: some file systems keep even seconds only.
const clockLag = 2 * time.Second

// rotatedSuffix matches what rotation adds to a name: a number or a time, as in
// app.log.1 and app.log-20261121T0300. Compressed files do not match.
var rotatedSuffix = regexp.MustCompile(`^[.-][0-9][0-9TZ:._-]*$`)

// A sighting is a file beside the followed one, with the name of a rotated file.
type sighting struct {
	path string
	info os.FileInfo
}

// rotated lists the files that may have been the followed one, by rising numbers or
// times in their names.
func (f *Follower) rotated() (all []sighting) {
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
		if info, err := os.Lstat(filepath.Join(dir, entry.Name())); err == nil && info.Mode().IsRegular() {
			all = append(all, sighting{filepath.Join(dir, entry.Name()), info})
		}
	}
	slices.SortFunc(all, func(a, b sighting) int {
		return cmp.Or(cmp.Compare(len(a.path), len(b.path)), strings.Compare(a.path, b.path))
	})
	return all
}

// isUnchanged reports whether nothing was written to the file since, by whatever name.
func (s sighting) isUnchanged(later sighting) bool {
	return os.SameFile(s.info, later.info) && s.info.ModTime().Equal(later.info.ModTime()) && s.info.Size() == later.info.Size()
}

// recall makes generations of the rotated files that are there at the start: they
// have no new lines, but clients that return may have to read them.
func (f *Follower) recall() {
	beside := f.rotated()
	found := f.unknown(beside, time.Time{})
	for i, g := range found {
		g.epoch = int64(i) + 1 // before all others
		g.start = g.idAt(0, nil)
		window, _ := windowBefore(g.file, g.info.Size())
		g.end = g.idAt(g.info.Size(), window)
	}
	f.shut(found...)
	f.gens, f.ignored = found[max(len(found)-maxKnown, 0):], beside
}

// look finds the files that have had the followed name since the newest generation,
// and queues them. If files are renamed meanwhile, it finds none, because their names
// say in which order they were written: another notice follows.
func (f *Follower) look() error {
	newest := f.current()
	if n := len(f.queue); n > 0 {
		newest = f.queue[n-1]
	}
	info, _ := os.Stat(f.path)
	if sameFile(info, newest.info) {
		return nil
	}
	since := timeOf(f.first).Add(-clockLag)
	if newest.info != nil {
		since = newest.modTime()
	}
	beside := f.rotated()
	found := f.unknown(beside, since)
	named, err := f.open()
	if err == nil {
		found = append(found, named)
	}
	again, _ := os.Stat(f.path)
	isSame := func(a, b sighting) bool { return a.path == b.path && os.SameFile(a.info, b.info) }
	if !sameFile(info, again) || !slices.EqualFunc(beside, f.rotated(), isSame) {
		f.shut(found...)
		return nil
	}
	f.queue = append(f.queue, found...)
	return err
}

// sameFile reports whether two files are the same; nil is a missing one.
func sameFile(a, b os.FileInfo) bool {
	return a == nil && b == nil || a != nil && b != nil && os.SameFile(a, b)
}

// unknown opens the files that were written since that time and have not been read,
// the oldest first. Files of one tick of the system's clock are ordered by their
// names: numbers rise with each rotation, like times, or all are shifted by one.
func (f *Follower) unknown(beside []sighting, since time.Time) (found []*generation) {
	isNew := make([]bool, len(beside))
	for i, s := range beside {
		if s.info.ModTime().Before(since) || slices.ContainsFunc(f.ignored, s.isUnchanged) {
			continue
		}
		g, err := f.openGeneration(s.path)
		if err != nil {
			continue
		}
		isThis := func(known *generation) bool { return known.isFile(g.info, g.file) }
		if slices.ContainsFunc(f.gens, isThis) || slices.ContainsFunc(f.queue, isThis) {
			f.shut(g)
			continue
		}
		found, isNew[i] = append(found, g), true
	}
	if last := len(beside) - 1; last > 0 {
		order := beside[0].info.ModTime().Compare(beside[last].info.ModTime())
		if order == 0 && isNew[0] == isNew[last] {
			order = cmp.Compare(inodeOf(beside[0].info), inodeOf(beside[last].info)) // most file systems count them up
		}
		if order > 0 || order == 0 && isNew[0] {
			slices.Reverse(found)
		}
	}
	slices.SortStableFunc(found, func(a, b *generation) int { return a.info.ModTime().Compare(b.info.ModTime()) })
	return found
}

// truncated goes on after a truncation. If there is a copy of what the file had, the
// rest of that is read first. Other files beside that are not younger were there before
// the truncation, so they have no new lines.
func (f *Follower) truncated() {
	old := f.current()
	truncated := &generation{file: old.file, info: old.info, inode: old.inode}
	written := old.modTime()
	beside := f.rotated()
	found := f.unknown(beside, time.Time{})
	f.ignored = slices.DeleteFunc(beside, func(s sighting) bool { return s.info.ModTime().After(written) })
	var copied generation
	if i := slices.IndexFunc(found, func(g *generation) bool { return old.isIn(g.file, f.reader.id()) }); i >= 0 {
		copied = *found[i]
		found = slices.Delete(found, i, i+1)
	}
	f.shut(found...)
	f.mu.Lock()
	old.file, old.info = copied.file, copied.info
	f.mu.Unlock()
	if copied.file != nil {
		f.reader.file = copied.file
		f.queue = slices.Insert(f.queue, 0, truncated)
		return
	}
	f.add(slices.Collect(f.reader.lines(true)), f.reader.id())
	f.follow(truncated, 0)
}

var errNotRegular = errors.New("not a regular file")

// open opens the file that has the followed name.
func (f *Follower) open() (*generation, error) {
	if err := Check(f.path); err != nil { // opening a pipe would wait for its writer
		return nil, err
	}
	return f.openGeneration(f.path)
}

// Check returns an error if path can never be followed.
func Check(path string) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %w", path, errNotRegular)
	}
	return nil
}
