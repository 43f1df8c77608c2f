package tail

import (
	"io"
	"os"
	"slices"
	"time"

	"example.com/sse-demo/pubsub"
)

const (
	// maxKnown is how many generations are remembered. In a burst of rotations the
	// times of their files may all be the same.
	maxKnown = 128
	// maxOpen is how many files are held open for feeds that are behind; a deleted
	// file takes its disk space until it is closed.
	maxOpen = 16
)

// A file is what an [os.File] is to a follower.
type file interface {
	io.ReaderAt
	io.Closer
	Stat() (os.FileInfo, error)
}

// A handle is an open file. Two generations share it after a truncation.
type handle struct {
	file
	users int // generations; guarded by Follower.mu
}

// A generation is one file that the followed name has stood for, up to its
// truncation. That there was no file is a generation, too.
type generation struct {
	file  *handle // nil for none
	info  os.FileInfo
	inode uint64
	rank  int // of its name among those of rotated files, when it was last seen there

	number uint64    // generations are counted
	salt   uint64    // part of its lines' ids; not 0 if an earlier generation had the same file
	start  pubsub.ID // for clients, of its first offset
	before position  // of the line that was read last before it

	// Guarded by Follower.mu:
	end   int64       // up to which its lines are in the log
	next  *generation // nil as long as this one is followed
	users int         // the follower, feeds and the generation before
	gone  bool        // it can no longer be read: closed or truncated
}

// A position is the end of a line.
type position struct {
	line pubsub.ID // in the log: the number of the generation, and the offset
	id   pubsub.ID // for clients
}

func newGeneration(f file) (*generation, error) {
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &generation{file: &handle{file: f, users: 1}, info: info, inode: inodeOf(info)}, nil
}

func (g *generation) modTime() time.Time {
	if info, err := g.file.Stat(); err == nil {
		return info.ModTime()
	}
	return g.info.ModTime()
}

// truncated returns a generation for the same file after its truncation.
func (f *Follower) truncated() *generation {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.current.gone = true
	f.current.file.users++
	return &generation{file: f.current.file, info: f.current.info, inode: f.current.inode}
}

// follow makes g the generation that is read, from its start.
func (f *Follower) follow(g *generation) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g.before = f.last
	g.number = f.current.number + 1
	g.start = f.newStart(g.inode)
	if slices.ContainsFunc(f.known, func(old *generation) bool { return old.inode == g.inode }) {
		g.salt = g.start[0] >> 32 // what is written now may equal what was there, and is another line
	}
	f.reader = &lineReader{file: g.file, mark: g.mark}
	g.users = 2 // the follower, and the generation before
	f.current.next = g
	f.release(f.current)
	f.current = g
	f.known = append(f.known, g)
	f.forget()
}

// forget bounds the generations that are remembered, and those that are open.
func (f *Follower) forget() {
	open := 0
	for _, g := range slices.Backward(f.known) {
		if !g.gone {
			open++
		}
		if open > maxOpen {
			f.shut(g)
		}
	}
	f.known = slices.Delete(f.known, 0, max(len(f.known)-maxKnown, 0))
}

// newStart returns the id of the start of a generation. Its mark is the time and
// the checksum of the inode: unique in this process, and good for the same file
// after a restart.
func (f *Follower) newStart(inode uint64) pubsub.ID {
	f.started = max(f.started+1, uint64(time.Now().Unix()))
	return pubsub.ID{f.started<<32 | markAt(inode, nil), 0}
}

// mark is the mark in the id of the offset that window stands before.
func (g *generation) mark(window []byte) uint64 { return g.salt<<32 | markAt(g.inode, window) }

// hold keeps a generation that is held open, to be released. It needs the
// lock, as release and shut do.
func (g *generation) hold() *generation {
	g.users++
	return g
}

// release ends a hold; the last one closes the file.
func (f *Follower) release(g *generation) {
	for ; g != nil; g = g.next {
		if g.users--; g.users > 0 {
			return
		}
		f.shut(g)
	}
}

// shut has the follower close the file, if no other generation shares it: its
// callers must not wait for a disk.
func (f *Follower) shut(g *generation) {
	g.gone = true
	if g.file == nil {
		return
	}
	if g.file.users--; g.file.users == 0 {
		f.unused = append(f.unused, g.file)
		wakeUp(f.poke)
	}
	g.file = nil
}

// closeUnused closes the files that are not read any more.
func (f *Follower) closeUnused() {
	f.mu.Lock()
	unused := f.unused
	f.unused = nil
	f.mu.Unlock()
	for _, file := range unused {
		_ = file.Close() // it was only read
	}
}

func wakeUp(ready chan<- struct{}) {
	select {
	case ready <- struct{}{}:
	default: // it is awake already
	}
}
