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
)

// maxSearches bounds how often the folder is read while files come and go.
const maxSearches = 1000

// rotatedSuffix matches what rotation adds to a name: a number or a time, as in
// app.log.1 and app.log-20261121T0300. Compressed files do not match.
var rotatedSuffix = regexp.MustCompile(`^[.-][0-9][0-9TZ:._-]*$`)

// successors opens the files that had the followed name after last, the oldest
// first: those that were renamed before they were seen, and the one that has it
// now, if any. While files come and go it repeats the search, so that none is missed and
// the names that they are sorted by belong together.
func (f *Follower) successors(last *generation) (found []*generation, err error) {
	names, rising := f.rotated(), false
	for range maxSearches {
		for _, g := range found {
			g.rank = nameless
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
// and are not known; rising says that newer files have higher ranks than last.
func (f *Follower) renamed(last *generation, names []string, found []*generation) (_ []*generation, rising bool) {
	lastTime, lastRank := last.modTime(), nameless
	for rank, path := range names {
		info, err := os.Lstat(path)
		if err != nil || !info.Mode().IsRegular() || info.ModTime().Before(lastTime) {
			continue
		}
		g, err := f.openGeneration(path)
		if err != nil {
			continue // it has another name by now
		}
		if os.SameFile(g.info, last.info) {
			lastRank = rank
		}
		found = f.meet(found, g, rank, !g.modTime().Before(lastTime) && !f.knows(g.info))
	}
	return found, lastRank != nameless && slices.ContainsFunc(found, func(g *generation) bool {
		return g.rank > lastRank && g.rank != followed
	})
}

// meet notes the rank of a file that was found already, or adds it if it is
// wanted, or else closes it.
func (f *Follower) meet(found []*generation, g *generation, rank int, wanted bool) []*generation {
	i := slices.IndexFunc(found, func(old *generation) bool { return os.SameFile(old.info, g.info) })
	if i < 0 && wanted {
		g.rank = rank
		return append(found, g)
	}
	_ = g.file.Close() // it was only read
	if i >= 0 {
		found[i].rank = rank
	}
	return found
}

// rotated lists the paths that rotation may have given to the followed file, by
// rising numbers or times: a file that is shifted from 9 to 10 while they are
// opened one after the other is still ahead.
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

// Ranks of files that are not among the rotated ones.
const (
	nameless = -1          // deleted since it was found
	followed = math.MaxInt // of the followed name
)

// sortByAge puts the oldest first. Files of one tick of the system's clock are
// ordered by their names: numbers either rise with each rotation, like times,
// or all are shifted by one.
func sortByAge(gs []*generation, rising bool) {
	youth := func(g *generation) int {
		if g.rank == nameless || g.rank == followed || rising {
			return g.rank
		}
		return followed - 1 - g.rank
	}
	slices.SortStableFunc(gs, func(a, b *generation) int {
		if a.rank == followed || b.rank == followed {
			return cmp.Compare(youth(a), youth(b))
		}
		return cmp.Or(a.modTime().Compare(b.modTime()), cmp.Compare(youth(a), youth(b)))
	})
}
