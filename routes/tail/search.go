package tail

import (
	"cmp"
	"io"
	"io/fs"
)

// search does for the feed what may take long, in a goroutine: it collects the next
// batch, from files until memory has what follows, and matches the expression, if there
// is one.
func (c *Feed) search(at lineID) {
	f := c.follower
	var batch [][]byte // after a gap, if lines are lost
	for isFound := false; !isFound && !c.isOver(); {
		lines, err := c.linesAfter(&at)
		if err != nil {
			gap, before := f.gap(at.String())
			batch, at = append(batch, gap), before
			continue
		}
		if len(lines) == 0 {
			break
		}
		for _, l := range lines {
			at = l.id
			if c.matches(l) {
				batch, isFound = append(batch, l.frame), true
			}
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	c.isSearching = false
	if !c.isClosed.Load() {
		c.at, c.batch = at, batch
		c.wake()
	}
}

// linesAfter returns the next lines after a place, from memory or else from a file. At the
// end of a file it moves the place to the next one.
func (c *Feed) linesAfter(at *lineID) (lines []line, err error) {
	f := c.follower
	for {
		f.mu.Lock()
		lines, isNear := f.memory.after(*at)
		f.mu.Unlock()
		if isNear {
			return lines, nil
		}
		gens := f.generations()
		i := indexOf(gens, at.epoch)
		switch {
		case i >= 0 && at.offset < gens[i].end.offset:
			err = f.use(&gens[i], func(file io.ReaderAt) (err error) {
				lines, err = c.readLines(&gens[i], file, *at)
				return err
			})
			return lines, err
		case i >= 0 && i+1 < len(gens):
			*at = gens[i+1].start
		default:
			return nil, fs.ErrNotExist
		}
	}
}

// readLines reads the next lines of a generation, none if the feed has ended.
func (c *Feed) readLines(g *generation, file io.ReaderAt, at lineID) (lines []line, err error) {
	reader, err := newLineReader(g, file, at.offset)
	if err != nil {
		return nil, err
	}
	if at != reader.end {
		return nil, errChanged
	}
	for len(lines) == 0 && !c.isOver() {
		n, err := reader.fill(g.end.offset)
		if n == 0 {
			return nil, cmp.Or(err, errChanged) // it is shorter than it was
		}
		isComplete := reader.read == g.end.offset // the follower never stops within a line but at the end of a file
		lines = reader.lines(isComplete, batchEvents)
	}
	return lines, nil
}
