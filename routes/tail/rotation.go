package tail

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// lookForNew opens the file of that name if it is another one than before, and
// puts it behind those that are still to be read.
func (f *Follower) lookForNew() error {
	newest := f.newest()
	if newest.file == nil {
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

// remember keeps what g was like when it was read to its end.
func (f *Follower) remember(g *generation) {
	if info, err := g.file.Stat(); err == nil {
		f.done = append(f.done, info)
		f.done = f.done[max(len(f.done)-maxKnown, 0):]
	}
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
	return f.openGeneration(f.path)
}

func (f *Follower) openGeneration(path string) (*generation, error) {
	file, err := f.openFile(path)
	if err != nil {
		return nil, err
	}
	return newGeneration(file)
}

// closeFiles closes files that were never followed.
func (f *Follower) closeFiles(gs []*generation) {
	for _, g := range gs {
		_ = g.file.Close() // it was only read
	}
}

// Check returns an error if path can never be followed.
func Check(path string) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %w", path, errNotRegular)
	}
	return nil
}
