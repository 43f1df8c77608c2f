package tail

import (
	"errors"
	"iter"
	"os"
	"slices"
)

// A search does for a feed what may take long: it collects the next batch, from files
// until memory has what follows, and matches the expression, if there is one.
type search struct {
	feed   *Feed
	at     lineID   // up to which it has read
	batch  [][]byte // the frames that the client wants, after a gap if lines are lost
	lines  int      // in batch
	size   int      // of them, in bytes
	reader *lineReader
	leave  func() // closes the file of reader, if it has one
}

// run searches until there is a batch or the feed can go on in memory.
func (s *search) run() {
	c, f := s.feed, s.feed.follower
	for s.lines == 0 && s.step() {
	}
	s.leaveFile()
	f.mu.Lock()
	defer f.mu.Unlock()
	c.isSearching = false
	if !c.isClosed {
		c.at, c.batch = s.at, append(c.batch, s.batch...)
		c.wake()
	}
}

// step searches the next lines. It is false if there are none, or none to search for.
func (s *search) step() bool {
	f := s.feed.follower
	f.mu.Lock()
	isOver := s.feed.isOver()
	lines, isNear := f.memory.after(s.at.place)
	f.mu.Unlock()
	switch {
	case isOver || isNear && (s.feed.grep == nil || len(lines) == 0):
		return false
	case isNear:
		s.leaveFile()
		s.take(slices.Values(lines))
	default:
		s.readOn()
	}
	return true
}

// readOn reads the next chunk of a file, or goes on to the next generation.
func (s *search) readOn() {
	g, next := s.feed.follower.generation(s.at.epoch)
	switch {
	case g != nil && s.at.offset < g.end:
		err := s.readChunk(g)
		if errors.Is(err, os.ErrClosed) {
			s.leaveFile() // the follower has closed it; it may be found beside
		} else if err != nil {
			s.lose()
		}
	case next != nil:
		s.leaveFile()
		s.at = next.start
	default:
		s.lose()
	}
}

// readChunk reads the next chunk of a generation.
func (s *search) readChunk(g *generation) error {
	if s.reader == nil {
		if err := s.openFile(g); err != nil {
			return err
		}
	}
	n, err := s.reader.fill(g.end)
	if err != nil {
		return err
	}
	if n == 0 {
		return errChanged // it is shorter than it was
	}
	isComplete := s.reader.read == g.end // the follower never stops within a line but at the end of a file
	if s.take(s.reader.lines(isComplete)) && isComplete {
		s.at = s.reader.id()
	}
	return nil
}

// openFile opens the file of a generation at the position.
func (s *search) openFile(g *generation) error {
	f := s.feed.follower
	file, leave, err := f.use(g, f.rotated)
	if err != nil {
		return err
	}
	s.leave = leave
	s.reader, err = newLineReader(g, file, s.at.offset)
	if err != nil {
		return err
	}
	if s.at.offset > g.start.offset && g.epoch >= f.first && s.at != s.reader.id() {
		return errChanged
	}
	return nil
}

func (s *search) leaveFile() {
	if s.leave != nil {
		s.leave()
	}
	s.leave, s.reader = nil, nil
}

// lose goes on in memory after a gap, because no file has what follows.
func (s *search) lose() {
	s.leaveFile()
	f := s.feed.follower
	f.mu.Lock()
	defer f.mu.Unlock()
	gap, before := f.gap(s.at.String())
	s.batch, s.at = append(s.batch, gap...), before
}

// take puts the lines that the client wants into the batch. It is false if the batch
// is full or the feed has ended before all lines were taken.
func (s *search) take(lines iter.Seq[line]) bool {
	for l := range lines {
		isWanted, isOver := s.feed.wants(l)
		if isOver {
			return false
		}
		s.at = l.id
		if isWanted {
			s.batch = append(s.batch, l.frame)
			s.lines++
			s.size += len(l.frame)
		}
		if s.lines >= batchEvents || s.size >= batchBytes {
			return false
		}
	}
	return true
}
