package tail

import (
	"errors"
	"os"

	"example.com/sse-demo/sse"
)

// A worker does for a feed what may take long: it reads the files until memory has
// what follows, and matches the expression, if there is one. It runs a batch ahead
// of the client. The feed may close while it works.
type worker struct {
	feed     *Feed
	follower *Follower
	at       lineID   // up to which it has read
	batch    [][]byte // not offered yet
	size     int      // bytes in batch

	reader *lineReader // nil while it reads memory
	file   file        // that it has opened itself
}

func (w *worker) run() {
	defer w.end()
	for !w.isStopped() {
		lines, ok := w.follower.after(w.at.place)
		switch {
		case !ok:
			w.readFile()
		case w.feed.grep == nil:
			w.offer()
			return // the feed reads memory itself
		default:
			w.leaveFile()
			w.take(lines)
			if len(lines) == 0 {
				w.wait()
			}
		}
	}
}

func (w *worker) isStopped() bool {
	select {
	case <-w.feed.stop:
		return true
	case <-w.follower.closing:
		return true
	default:
		return false
	}
}

// end leaves the rest to the feed.
func (w *worker) end() {
	w.leaveFile()
	c := w.feed
	c.mu.Lock()
	defer c.mu.Unlock()
	c.working = false
	if !c.closed {
		c.wake()
	}
}

// wait waits until memory has more.
func (w *worker) wait() {
	w.offer()
	select {
	case <-w.feed.more:
	case <-w.feed.stop:
	case <-w.follower.closing:
	}
}

// readFile reads the next chunk of a file, or goes on to the next file.
func (w *worker) readFile() {
	g, next, ok := w.follower.generation(w.at.epoch)
	switch {
	case !ok:
		w.lose()
	case w.at.offset < g.end:
		switch err := w.readChunk(&g); {
		case errors.Is(err, os.ErrClosed):
			w.leaveFile() // it may be found beside
		case err != nil:
			w.lose()
		}
	case next != nil:
		w.leaveFile()
		w.at.place = *next
		w.take(nil)
	}
}

func (w *worker) readChunk(g *generation) error {
	if w.reader == nil {
		if err := w.openFile(g); err != nil {
			return err
		}
	}
	n, err := w.reader.fill(g.end)
	if err != nil {
		return err
	}
	if n == 0 {
		return errChanged // it is shorter than it was
	}
	w.take(w.reader.lines())
	if w.reader.read == g.end { // the follower never stops within a line but at the end of a file
		w.take(w.reader.rest())
		w.at.place = place{g.epoch, g.end}
	}
	return nil
}

// openFile opens the file of a generation at the position.
func (w *worker) openFile(g *generation) (err error) {
	source := g.file
	if source == nil && !g.destroyed {
		w.file = w.follower.reopen(g, w.follower.rotated())
		source = w.file
	}
	if source == nil {
		return errChanged
	}
	w.reader, err = newLineReader(source, g, w.at.offset)
	if err != nil {
		return err
	}
	if w.at.offset > g.start.offset && w.at.epoch >= w.follower.first && w.at != w.reader.id() {
		return errChanged
	}
	return nil
}

func (w *worker) leaveFile() {
	if w.file != nil {
		_ = w.file.Close() // it was only read
	}
	w.file, w.reader = nil, nil
}

// lose goes on in memory after a gap, because no file has what follows.
func (w *worker) lose() {
	w.leaveFile()
	gap, before := w.follower.gap(w.at.String())
	w.batch = append(w.batch, gap)
	w.at = before
}

// take puts the lines that the client wants into batches, and offers these.
func (w *worker) take(lines []line) {
	for _, l := range lines {
		wanted := w.wants(l)
		if w.isStopped() {
			return
		}
		if wanted {
			w.batch = append(w.batch, l.frame)
			w.size += len(l.frame)
		}
		w.at = l.id
		if w.size >= batchBytes || len(w.batch) >= batchEvents {
			w.offer()
		}
	}
	if n := len(w.batch); n == 0 || !sse.IsGap(w.batch[n-1]) { // after a gap comes a line, so that its client has an id to go on from
		w.offer()
	}
}

// offer waits until the feed has room for the batch.
func (w *worker) offer() {
	if w.feed.offer(w.batch, w.at) {
		w.batch, w.size = nil, 0
	}
}

func (w *worker) wants(l line) bool {
	if w.feed.grep == nil {
		return true
	}
	select {
	case matching <- struct{}{}:
	case <-w.feed.stop:
		return false
	case <-w.follower.closing:
		return false
	}
	defer func() { <-matching }()
	return w.feed.grep.Match(sse.FrameData(l.frame))
}
