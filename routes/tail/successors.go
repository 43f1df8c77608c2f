package tail

import (
	"cmp"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// maxLooks bounds how often the folder is read while files come and go.
const maxLooks = 1000

// rotatedSuffix matches what rotation adds to a name: a number or a time, as in
// app.log.1 and app.log-20261121T0300. Compressed files do not match.
var rotatedSuffix = regexp.MustCompile(`^[.-][0-9][0-9TZ:._-]*$`)

// successors opens the files that had the followed name after last, the oldest
// first: those that were renamed before they were seen, and the one that has it
// now, if any. While files come and go it looks again, so that none is missed and
// the names that they are sorted by belong together.
func (f *Follower) successors(last *generation) (found []*generation, err error) {
	names, rising := f.rotated(), false
	for range maxLooks {
		for _, g := range found {
			g.place = nameless
		}
		var now os.FileInfo
		var g *generation
		if g, err = f.open(); err == nil {
			now = g.info
			found = f.meet(found, g, followed, !os.SameFile(now, last.info))
		}
		found, rising = f.renamed(last, names, found)
		before := names
		names = f.rotated()
		if f.isStill(now, err) && slices.Equal(names, before) {
			break
		}
	}
	sortByAge(found, rising)
	return found, err
}

// isStill reports whether the followed name is still what open has found: this
// file, or none, or one that cannot be opened.
func (f *Follower) isStill(now os.FileInfo, failed error) bool {
	info, err := os.Stat(f.path)
	switch {
	case failed == nil:
		return err == nil && os.SameFile(info, now)
	case errors.Is(failed, fs.ErrNotExist):
		return err != nil
	default:
		return true
	}
}

// renamed adds to found the files of these names that were written to after last
// and are not known; rising says that newer files have higher places than last.
func (f *Follower) renamed(last *generation, names []string, found []*generation) (_ []*generation, rising bool) {
	lastTime, lastPlace := last.modTime(), nameless
	for place, path := range names {
		info, err := os.Lstat(path)
		if err != nil || !info.Mode().IsRegular() || info.ModTime().Before(lastTime) {
			continue
		}
		g, err := openGeneration(path)
		if err != nil {
			continue // it has another name by now
		}
		if os.SameFile(g.info, last.info) {
			lastPlace = place
		}
		found = f.meet(found, g, place, !g.modTime().Before(lastTime) && !f.knows(g.info))
	}
	return found, lastPlace != nameless && slices.ContainsFunc(found, func(g *generation) bool {
		return g.place > lastPlace && g.place != followed
	})
}

// meet notes the place of a file that was found already, or adds it where it is
// wanted, or else closes it.
func (f *Follower) meet(found []*generation, g *generation, place int, wanted bool) []*generation {
	i := slices.IndexFunc(found, func(old *generation) bool { return os.SameFile(old.info, g.info) })
	if i < 0 && wanted {
		g.place = place
		return append(found, g)
	}
	f.leave(g)
	if i >= 0 {
		found[i].place = place
	}
	return found
}

// rotated lists the paths that rotation may have given to the followed file, by
// rising numbers or times: a file that is shifted from 9 to 10 while they are
// opened in turn is still ahead.
func (f *Follower) rotated() (paths []string) {
	dir, base := filepath.Split(f.path)
	entries, _ := os.ReadDir(filepath.Clean(dir)) // what was read is all there is
	for _, entry := range entries {
		if suffix, ok := strings.CutPrefix(entry.Name(), base); ok && rotatedSuffix.MatchString(suffix) {
			paths = append(paths, filepath.Join(dir, entry.Name()))
		}
	}
	slices.SortFunc(paths, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	})
	return paths
}

// Places of files that are not among the rotated ones.
const (
	nameless = -1          // deleted since it was found
	followed = math.MaxInt // of the followed name
)

// sortByAge puts the oldest first. Files of one tick of the system's clock are
// told apart by their names: numbers either rise with each rotation, like times,
// or all are shifted by one.
func sortByAge(gs []*generation, rising bool) {
	youth := func(g *generation) int {
		if g.place == nameless || g.place == followed || rising {
			return g.place
		}
		return followed - 1 - g.place
	}
	slices.SortStableFunc(gs, func(a, b *generation) int {
		if a.place == followed || b.place == followed {
			return cmp.Compare(youth(a), youth(b))
		}
		return cmp.Or(a.modTime().Compare(b.modTime()), cmp.Compare(youth(a), youth(b)))
	})
}

func (g *generation) modTime() time.Time {
	if info, err := g.file.Stat(); err == nil {
		return info.ModTime()
	}
	return g.info.ModTime()
}
