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

// maxRemembered is how many files that were read to their end are told from ones
// that were missed. In a burst of rotations their times may all be the same.
const maxRemembered = 128

// maxLooks bounds how often the folder is read while files come and go.
const maxLooks = 100

// rotatedSuffix matches what rotation adds to a name: a number or a time, as in
// app.log.1 and app.log-20261121T0300. Compressed files do not match.
var rotatedSuffix = regexp.MustCompile(`^[.-][0-9][0-9TZ:._-]*$`)

// lookForNew opens the file of that name if it is another one than before, and
// puts it behind those that are still to be read.
func (f *Follower) lookForNew() error {
	newest := f.newest()
	if newest == nil {
		g, err := f.open()
		if err == nil {
			f.follow(g)
		}
		return err
	}
	info, err := os.Stat(f.path)
	if err == nil && os.SameFile(info, newest.info) {
		return nil
	}
	found, err := f.successors(newest)
	f.waiting = append(f.waiting, found...)
	return err
}

func (f *Follower) newest() *generation {
	if n := len(f.waiting); n > 0 {
		return f.waiting[n-1]
	}
	return f.current
}

// replaced reports whether the file that is next is written to. As long as it is
// empty, its writer may not have noticed the rotation and go on in the old one.
func (f *Follower) replaced() bool {
	if len(f.waiting) != 1 {
		return len(f.waiting) > 1
	}
	info, err := f.waiting[0].file.Stat()
	return err != nil || info.Size() > 0
}

// truncated returns a generation for the same file after its truncation, so that
// a cursor which still reads the one before does not take it for the current.
// They share the file, and only the newest closes it.
func (f *Follower) truncated() *generation {
	f.current.users++
	g := *f.current
	g.users = 1
	return &g
}

// remember keeps what g was like when it was read to its end.
func (f *Follower) remember(g *generation) {
	if info, err := g.file.Stat(); err == nil {
		f.done = append(f.done, info)
		f.done = f.done[max(len(f.done)-maxRemembered, 0):]
	}
}

// successors opens the files that had the followed name after last, in the order
// of their times: the one that has it now, and those that were renamed before
// they were seen. While files come and go faster than the folder is read it looks
// again, so that all that are found before the last one are older.
func (f *Follower) successors(last *generation) ([]*generation, error) {
	var found []*generation
	for range maxLooks {
		now, err := f.open()
		if err == nil && os.SameFile(now.info, last.info) { // it has its name again
			f.leave(now)
			break
		}
		found = append(found, f.renamed(last, now, found)...)
		if err != nil {
			sortByTime(found)
			return found, err
		}
		if info, err := os.Stat(f.path); err == nil && os.SameFile(info, now.info) {
			sortByTime(found)
			return append(found, now), nil
		}
		found = append(found, now) // renamed in the meantime
	}
	sortByTime(found)
	return found, nil
}

// renamed opens the files beside the followed one that are rotated ones of it,
// were written to after last, and are not known or found.
func (f *Follower) renamed(last, now *generation, found []*generation) (more []*generation) {
	dir, base := filepath.Split(f.path)
	entries, err := os.ReadDir(filepath.Clean(dir))
	if err != nil {
		return nil // what is read now is all there is
	}
	// By rising numbers: a file that is shifted from 9 to 10 meanwhile must still
	// be ahead.
	slices.SortFunc(entries, func(a, b os.DirEntry) int {
		return cmp.Or(cmp.Compare(len(a.Name()), len(b.Name())), strings.Compare(a.Name(), b.Name()))
	})
	lastTime := last.modTime()
	for _, entry := range entries {
		suffix, ok := strings.CutPrefix(entry.Name(), base)
		if !ok || !rotatedSuffix.MatchString(suffix) || !entry.Type().IsRegular() {
			continue
		}
		if info, err := entry.Info(); err != nil || info.ModTime().Before(lastTime) {
			continue
		}
		g, err := openGeneration(filepath.Join(dir, entry.Name()))
		if err != nil {
			continue // it has another name by now
		}
		others := slices.Concat(found, more)
		if now != nil {
			others = append(others, now)
		}
		if g.modTime().Before(lastTime) || f.knows(g.info) || contains(others, g.info) {
			f.leave(g)
			continue
		}
		more = append(more, g)
	}
	return more
}

// sortByTime puts the oldest first. Files of one tick of the system's clock are
// taken in the order of their inodes, which file systems tend to give out rising.
func sortByTime(gs []*generation) {
	slices.SortFunc(gs, func(a, b *generation) int {
		return cmp.Or(a.modTime().Compare(b.modTime()), cmp.Compare(a.inode, b.inode))
	})
}

func (g *generation) modTime() time.Time {
	if info, err := g.file.Stat(); err == nil {
		return info.ModTime()
	}
	return g.info.ModTime()
}

func contains(gs []*generation, info os.FileInfo) bool {
	return slices.ContainsFunc(gs, func(g *generation) bool { return os.SameFile(g.info, info) })
}

// knows reports whether the file is one that is being read, waits to be, or was.
func (f *Follower) knows(info os.FileInfo) bool {
	if os.SameFile(f.current.info, info) || contains(f.waiting, info) {
		return true
	}
	return slices.ContainsFunc(f.done, func(old os.FileInfo) bool { // an inode is used again, times and size are not
		return os.SameFile(old, info) && old.Size() == info.Size() && old.ModTime().Equal(info.ModTime())
	})
}
