package tail

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"

	"example.com/sse-demo/sse"
)

// A search does for a feed what may take long: it collects the next batch, from files
// until memory has what follows, and matches the expression, if there is one.
type search struct {
	feed  *Feed
	at    lineID   // up to which it has read
	batch [][]byte // the frames that the client wants, after a gap if lines are lost
	size  int      // of the lines in batch, in bytes
}

// run searches until there is a batch or the feed can go on in memory.
func (s *search) run() {
	c, f := s.feed, s.feed.follower
	for s.size == 0 && s.step() {
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	c.isSearching = false
	if !c.isClosed.Load() {
		c.at, c.batch = s.at, s.batch
		c.wake()
	}
}

// step searches the next lines. It is false if there are none, or none to search for.
func (s *search) step() bool {
	f := s.feed.follower
	f.mu.Lock()
	lines, isNear := f.memory.after(s.at)
	f.mu.Unlock()
	switch {
	case s.feed.isOver() || isNear && (s.feed.grep == nil || len(lines) == 0):
		return false
	case isNear:
		s.take(slices.Values(lines))
	default:
		err := s.readFile()
		if err != nil && !errors.Is(err, os.ErrClosed) { // a file that the follower has closed may be found beside
			gap, before := f.gap(s.at.String())
			s.batch, s.at = append(s.batch, gap), before
		}
	}
	return true
}

// readFile reads the file of the position, or goes on to the next one.
func (s *search) readFile() error {
	f := s.feed.follower
	gens := f.generations()
	i := indexOf(gens, s.at.epoch)
	switch {
	case i >= 0 && s.at.offset < gens[i].end.offset:
		return f.use(&gens[i], func(file io.ReaderAt) error { return s.readLines(&gens[i], file) })
	case i >= 0 && i+1 < len(gens):
		s.at = gens[i+1].start
		return nil
	default:
		return fs.ErrNotExist
	}
}

// readLines reads a generation from the position on, until it finds lines.
func (s *search) readLines(g *generation, file io.ReaderAt) error {
	reader, err := newLineReader(g, file, s.at.offset)
	if err != nil {
		return err
	}
	if s.at != reader.end {
		return errChanged
	}
	for s.size == 0 && s.at != g.end {
		n, err := reader.fill(g.end.offset)
		if n == 0 {
			return cmp.Or(err, errChanged) // it is shorter than it was
		}
		isComplete := reader.read == g.end.offset // the follower never stops within a line but at the end of a file
		if !s.take(reader.lines(isComplete)) {
			break
		}
	}
	return nil
}

// take puts the lines that the client wants into the batch. It is false if the batch
// is full or the feed has ended before all lines were taken.
func (s *search) take(lines iter.Seq[line]) bool {
	grep := s.feed.grep
	if grep != nil {
		matching <- struct{}{}
		defer func() { <-matching }()
	}
	if s.feed.isOver() {
		return false
	}
	for l := range lines {
		s.at = l.id
		if grep != nil && !grep.Match(sse.FrameData(l.frame)) {
			continue
		}
		s.batch = append(s.batch, l.frame)
		s.size += len(l.frame)
		if len(s.batch) >= batchEvents || s.size >= batchBytes {
			return false
		}
	}
	return true
}
