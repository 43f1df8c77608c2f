package tail

import (
	"errors"
	"io/fs"
	"iter"
	"os"
	"slices"

	"example.com/sse-demo/sse"
)

// A search does for a feed what may take long: it collects the next batch, from files
// until memory has what follows, and matches the expression, if there is one.
type search struct {
	feed   *Feed
	at     lineID   // up to which it has read
	batch  [][]byte // the frames that the client wants, after a gap if lines are lost
	size   int      // of the lines in batch, in bytes
	reader *lineReader
	leave  func() // ends the use of the reader's file
}

// run searches until there is a batch or the feed can go on in memory.
func (s *search) run() {
	c, f := s.feed, s.feed.follower
	for s.size == 0 && s.step() {
	}
	s.leaveFile()
	f.mu.Lock()
	defer f.mu.Unlock()
	c.isSearching = false
	if !c.isClosed {
		c.at, c.batch = s.at, s.batch
		c.wake()
	}
}

// step searches the next lines. It is false if there are none, or none to search for.
func (s *search) step() bool {
	f := s.feed.follower
	f.mu.Lock()
	lines, isNear := f.memory.after(s.at.place)
	f.mu.Unlock()
	switch {
	case s.isOver() || isNear && (s.feed.grep == nil || len(lines) == 0):
		return false
	case isNear:
		s.leaveFile() // its reader is behind from here on
		s.take(slices.Values(lines))
	default:
		if err := s.readFile(); err != nil {
			s.leaveFile()
			if !errors.Is(err, os.ErrClosed) { // a file that the follower has closed may be found beside
				s.lose()
			}
		}
	}
	return true
}

// readFile reads the next chunk of a file, or goes on to the next file.
func (s *search) readFile() error {
	gens := s.feed.follower.generations()
	i := slices.IndexFunc(gens, func(g generation) bool { return g.epoch == s.at.epoch })
	switch {
	case i >= 0 && s.at.offset < gens[i].end.offset:
		return s.readChunk(&gens[i])
	case i >= 0 && i+1 < len(gens):
		s.leaveFile()
		s.at = gens[i+1].start
		return nil
	default:
		return fs.ErrNotExist
	}
}

// readChunk reads the next chunk of a generation.
func (s *search) readChunk(g *generation) error {
	if s.reader == nil {
		if err := s.openFile(g); err != nil {
			return err
		}
	}
	n, err := s.reader.fill(g.end.offset)
	if err == nil && n == 0 {
		err = errChanged // it is shorter than it was
	}
	if err != nil {
		return err
	}
	isComplete := s.reader.read == g.end.offset // the follower never stops within a line but at the end of a file
	if s.take(s.reader.lines(isComplete)) && isComplete {
		s.at = g.end
	}
	return nil
}

// openFile opens the file of a generation at the position.
func (s *search) openFile(g *generation) error {
	file, leave, err := s.feed.follower.use(g)
	if err != nil {
		return err
	}
	s.leave = leave
	s.reader, err = newLineReader(g, file, s.at.offset)
	if err == nil && s.at != s.reader.id() {
		err = errChanged
	}
	return err
}

func (s *search) leaveFile() {
	if s.leave != nil {
		s.leave()
	}
	s.leave, s.reader = nil, nil
}

// lose goes on in memory after a gap, because no file has what follows.
func (s *search) lose() {
	gap, before := s.feed.follower.gap(s.at.String())
	s.batch, s.at = append(s.batch, gap), before
}

// take puts the lines that the client wants into the batch. It is false if the batch
// is full or the feed has ended before all lines were taken.
func (s *search) take(lines iter.Seq[line]) bool {
	grep := s.feed.grep
	if grep != nil {
		matching <- struct{}{}
		defer func() { <-matching }()
		if s.isOver() {
			return false
		}
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

func (s *search) isOver() bool {
	s.feed.follower.mu.Lock()
	defer s.feed.follower.mu.Unlock()
	return s.feed.isOver()
}
