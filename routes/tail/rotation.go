package tail

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
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

// look finds the files that have had the followed name since the newest generation,
// and queues them. If files are renamed meanwhile, it finds none, because their names
// say in which order they were written: another notice follows.
func (f *Follower) look() error {
	newest := f.newest()
	info := f.stat()
	if info != nil && sameFile(info, newest.info) {
		return nil
	}
	since := time.UnixMilli(f.first).Add(-clockLag)
	if newest.info != nil {
		since = newest.modTime()
	}
	beside := f.rotated()
	found := f.unknown(beside, since)
	named, err := f.open()
	if err == nil {
		found = append(found, named)
	}
	if !sameFile(info, f.stat()) || !slices.EqualFunc(beside, f.rotated(), sighting.equal) {
		f.shut(found...)
		return nil
	}
	f.queue = append(f.queue, found...)
	return err
}

// stat returns what has the followed name, or nil.
func (f *Follower) stat() os.FileInfo {
	info, err := os.Stat(f.path)
	if err != nil {
		return nil
	}
	return info
}

func sameFile(a, b os.FileInfo) bool {
	return a == nil && b == nil || a != nil && b != nil && os.SameFile(a, b)
}

func (s sighting) equal(t sighting) bool { return s.path == t.path && os.SameFile(s.info, t.info) }

// newest returns the generation that was found last.
func (f *Follower) newest() *generation {
	if n := len(f.queue); n > 0 {
		return f.queue[n-1]
	}
	return f.current
}

// unknown opens the files that were written since that time and have not been read,
// the oldest first. Files of one tick of the system's clock are ordered by their
// names: numbers rise with each rotation, like times, or all are shifted by one.
func (f *Follower) unknown(beside []sighting, since time.Time) (found []*generation) {
	isNew := make([]bool, len(beside))
	for i, s := range beside {
		if s.info.ModTime().Before(since) {
			continue
		}
		if g := f.openUnknown(s); g != nil {
			found, isNew[i] = append(found, g), true
		}
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
	slices.SortStableFunc(found, func(a, b *generation) int { return a.modTime().Compare(b.modTime()) })
	return found
}

// openUnknown opens a file beside the followed one. It returns nil if the file is
// known, or a copy of the current one.
func (f *Follower) openUnknown(s sighting) *generation {
	file, err := f.openFile(s.path)
	if err != nil {
		return nil
	}
	g, err := newGeneration(file)
	if err != nil {
		return nil
	}
	isThis := func(known *generation) bool { return known.isFile(g.info, g.file) }
	if slices.ContainsFunc(slices.Concat(f.gens, f.queue, f.ignored), isThis) {
		f.shut(g)
		return nil
	}
	return g
}

// truncated goes on after a truncation. If there is a copy of what the file had, the
// rest of that is read first.
func (f *Follower) truncated() {
	g := &generation{file: f.current.file, info: f.current.info, inode: f.current.inode}
	if copied := f.copyOfCurrent(); copied != nil {
		f.mu.Lock()
		f.current.file, f.current.info = copied.file, copied.info
		f.mu.Unlock()
		f.reader.file = copied.file
		f.queue = slices.Insert(f.queue, 0, g)
		return
	}
	f.finish()
	f.mu.Lock()
	f.current.file, f.current.destroyed = nil, true
	f.mu.Unlock()
	f.follow(g)
}

// copyOfCurrent opens the file beside the current one that has what was read of that.
// It notes others that are unknown, such as a copy that was made a moment earlier:
// they were there before the truncation, so they have no new lines.
func (f *Follower) copyOfCurrent() (found *generation) {
	for _, s := range f.rotated() {
		g := f.openUnknown(s)
		switch {
		case g == nil:
		case found == nil && endsWith(g.file, f.reader.read, f.reader.window):
			found = g
		default:
			g.end = g.info.Size()
			g.window, _ = windowBefore(g.file, g.end)
			f.shut(g)
			f.ignored = append(f.ignored, g)
			f.ignored = f.ignored[max(len(f.ignored)-maxKnown, 0):]
		}
	}
	return found
}

var errNotRegular = errors.New("not a regular file")

// open opens the file that has the followed name.
func (f *Follower) open() (*generation, error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		return nil, &fs.PathError{Op: "follow", Path: f.path, Err: errNotRegular}
	}
	file, err := f.openFile(f.path)
	if err != nil {
		return nil, err
	}
	return newGeneration(file)
}

// Check returns an error if path can never be followed.
func Check(path string) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %w", path, errNotRegular)
	}
	return nil
}
