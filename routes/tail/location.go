package tail

import (
	"slices"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

// A location is where a feed goes on: in memory if it is there, or else in a
// file.
type location struct {
	line   pubsub.ID            // that was read last, in the log
	live   *pubsub.Subscription // nil if memory does not have what follows
	gen    *generation          // held, with what follows at offset; nil if no file has it
	offset int64
	id     []byte // of the offset, if it has to be checked
}

// locate returns the location right after a line. It is false if neither memory
// nor an open file has what follows.
func (f *Follower) locate(line pubsub.ID) (l location, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l.line = line
	l.live, ok = f.lines.SubscribeAfter(line)
	l.gen, l.offset = f.inFile(line)
	return l, ok || l.gen != nil
}

// inFile holds the generation that has what follows the line, and returns the
// offset in it. It needs the lock.
func (f *Follower) inFile(line pubsub.ID) (*generation, int64) {
	for _, g := range slices.Backward(f.known) {
		switch {
		case g.users == 0: // closed
		case g.before.line == line:
			return g.hold(), 0
		case g.number == line[0]:
			return g.hold(), int64(line[1])
		}
	}
	return nil, 0
}

// leave releases what a location holds.
func (f *Follower) leave(l *location) {
	if l.live != nil {
		l.live.Close()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.release(l.gen)
	*l = location{}
}

// read returns the next lines in memory. It is false if memory has dropped some
// of them; they are to be read from the file then.
func (f *Follower) read(l *location, entries []pubsub.Entry) (_ []pubsub.Entry, ok bool) {
	entries, ok = l.live.Read(entries)
	if !ok {
		l.live.Close()
		l.live = nil
		return entries, false
	}
	if len(entries) == 0 {
		return entries, true
	}
	last := entries[len(entries)-1]
	l.line, l.offset = last.ID, int64(last.ID[1])
	l.id = append(l.id[:0], sse.FrameID(last.Frame)...)
	if l.gen == nil || l.gen.number != l.line[0] {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.release(l.gen)
		l.gen, l.offset = f.inFile(l.line)
	}
	return entries, true
}

// extent returns up to which offset the file of a location may be read: not
// beyond the follower. It is false if what follows cannot be read any more.
func (f *Follower) extent(l *location) (end int64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l.gen == nil {
		return 0, false
	}
	return l.gen.end, !l.gen.gone || l.offset >= l.gen.end
}

// nextFile moves a location at the end of its generation to the next one, or if
// there is none, to memory. It is false if memory does not have it.
func (f *Follower) nextFile(l *location) (ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := l.gen
	switch {
	case l.offset < g.end: // the follower has read more since
		return true
	case g.next == nil:
		l.id = l.id[:0]
		l.live, ok = f.lines.SubscribeAfter(l.line)
		return ok
	default:
		l.gen, l.offset, l.id = g.next.hold(), 0, l.id[:0]
		f.release(g)
		return true
	}
}

// openAt returns a reader at a location in a file.
func (f *Follower) openAt(l *location) (*lineReader, error) {
	f.mu.Lock()
	handle := l.gen.file
	f.mu.Unlock()
	if handle == nil {
		return nil, errChanged
	}
	r, err := newLineReader(handle, l.gen.mark, l.offset)
	if err == nil && l.offset > 0 && len(l.id) > 0 && r.pos().String() != string(l.id) {
		return nil, errChanged
	}
	return r, err
}

// oldest returns the location of the oldest line in memory, with the ids of the
// line before it and its own, which is empty if there is none. The log does not
// say what it dropped last, so once it has dropped something, the oldest line in
// it counts as dropped.
func (f *Follower) oldest() (l location, before, id string) {
	for {
		all := f.lines.Subscribe(pubsub.Start{Replay: keptLines + 1})
		entries, _ := all.Read(nil)
		all.Close()
		f.mu.Lock()
		base, first := f.base, f.first
		f.mu.Unlock()
		line := base.line
		before, id = base.id.String(), ""
		switch {
		case len(entries) == 0:
		case entries[0].ID == first.line:
			id = first.id.String()
		default:
			line, before = entries[0].ID, string(sse.FrameID(entries[0].Frame))
			if len(entries) > 1 {
				id = string(sse.FrameID(entries[1].Frame))
			}
		}
		if l, _ = f.locate(line); l.live != nil {
			return l, before, id
		}
		f.leave(&l) // it was dropped meanwhile
	}
}

// atEnd returns the location after the newest line, and its id.
func (f *Follower) atEnd() (l location, id pubsub.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l.line = f.last.line
	l.live, _ = f.lines.SubscribeAfter(l.line) // the newest line is always there
	l.gen, l.offset = f.inFile(l.line)
	if f.current.end == 0 { // the newest line is of another file, or there is none
		return l, f.current.start
	}
	return l, f.last.id
}
