package tail

import (
	"bytes"
	"regexp"
	"sync"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

// What a worker hands over at once.
const (
	batchEvents = 256
	batchBytes  = 16 << 10
)

// A worker does for a feed what may take long: it reads the file until it has
// caught up with the follower, and matches the expression, if there is one. It
// runs a batch ahead of the client.
type worker struct {
	follower *Follower
	grep     *regexp.Regexp
	notify   func()
	batches  chan [][]byte // closed when it ends
	stop     chan struct{} // closed when the feed is
	caughtUp chan struct{} // closed when an expression has been matched with all there is
	more     chan struct{} // memory has more

	at      location
	reader  *lineReader          // nil while it reads memory
	source  *pubsub.Subscription // that notifies more
	entries []pubsub.Entry
	after   []byte   // id of the newest event in batch, or before it
	batch   [][]byte // not handed over yet; the feed's when the worker has ended
	size    int      // bytes in batch

	mu        sync.Mutex
	searched  string // id up to which all that matches was handed over
	ended     bool
	abandoned bool
}

func newWorker(c *Feed) *worker {
	return &worker{
		follower: c.follower, grep: c.grep, notify: c.notify,
		batches:  make(chan [][]byte, 1),
		stop:     make(chan struct{}),
		caughtUp: make(chan struct{}),
		more:     make(chan struct{}, 1),
		at:       c.at, after: bytes.Clone(c.after), batch: c.pending,
	}
}

// startWorker runs a worker, unless the follower has ended.
func (f *Follower) startWorker(w *worker) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return false
	}
	f.workers.Go(w.run)
	return true
}

func (w *worker) run() {
	defer w.end()
	for !w.isStopped() {
		switch {
		case w.at.live == nil:
			w.readFile()
		case w.grep == nil:
			return // the feed reads memory itself
		default:
			w.readMemory()
		}
	}
}

func (w *worker) isStopped() bool {
	select {
	case <-w.stop:
		return true
	case <-w.follower.closing:
		return true
	default:
		return false
	}
}

// end leaves the position to the feed, if that is still there.
func (w *worker) end() {
	w.mu.Lock()
	w.ended = true
	abandoned := w.abandoned
	w.mu.Unlock()
	w.reader, w.entries = nil, nil
	if abandoned {
		w.follower.leave(&w.at)
	}
	close(w.batches)
	w.wake()
}

// abandon stops the worker, without waiting for it.
func (w *worker) abandon() {
	w.mu.Lock()
	w.abandoned = true
	ended := w.ended
	w.mu.Unlock()
	close(w.stop)
	if ended {
		w.follower.leave(&w.at)
	}
}

func (w *worker) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.abandoned {
		w.notify()
	}
}

// readFile reads the next chunk of a file.
func (w *worker) readFile() {
	end, ok := w.follower.extent(&w.at)
	switch {
	case !ok || w.at.offset < end && !w.readChunk(end):
		w.lose()
	case w.at.offset >= end:
		w.passEnd()
	}
}

// readChunk is false if the file cannot be read any more.
func (w *worker) readChunk(limit int64) bool {
	if w.reader == nil {
		r, err := w.follower.openAt(&w.at)
		if err != nil {
			return false
		}
		w.reader = r
	}
	if n, err := w.reader.fill(limit); err != nil || n == 0 {
		return false
	}
	w.at.offset = w.reader.read
	var last pubsub.ID
	for id, frame, ok := w.reader.next(); ok && !w.isStopped(); id, frame, ok = w.reader.next() {
		last = id
		w.at.line = pubsub.ID{w.at.gen.number, id[1]}
		w.offer(frame)
	}
	w.handOver()
	if last[1] > 0 {
		w.setSearched(last.String())
	}
	return true
}

// passEnd goes on after the end of a file, in the next one or in memory. The line
// without an end is complete if the file was rotated away.
func (w *worker) passEnd() {
	if w.reader != nil { // the follower never stops within a line but there
		if id, frame, ok := w.reader.rest(); ok {
			w.at.line = pubsub.ID{w.at.gen.number, id[1]}
			w.offer(frame)
		}
	}
	g := w.at.gen
	if !w.follower.nextFile(&w.at) {
		w.lose()
		return
	}
	if w.at.gen != g {
		w.reader = nil
		w.handOver()
		w.setSearched(w.at.gen.start.String())
	}
}

// lose goes on in memory if the file cannot be read any more: after a gap, unless
// memory has what follows.
func (w *worker) lose() {
	line := w.at.line
	w.reader = nil
	w.follower.leave(&w.at)
	l, _ := w.follower.locate(line)
	if l.live == nil {
		w.follower.leave(&l)
		var oldest string
		l, _, oldest = w.follower.oldest()
		w.batch = append(w.batch, sse.AppendGap(nil, string(w.after), oldest))
	}
	w.at = l
}

// readMemory matches the next lines in memory, or waits for some.
func (w *worker) readMemory() {
	w.reader = nil
	if w.source != w.at.live {
		w.source = w.at.live
		w.source.Notify(func() { wakeUp(w.more) })
	}
	entries, ok := w.follower.read(&w.at, w.entries[:0])
	if !ok {
		return // they are in the file
	}
	for _, e := range entries {
		w.offer(e.Frame)
	}
	n := len(entries)
	clear(entries)
	w.entries = entries
	if n > 0 {
		w.handOver()
		w.setSearched(string(w.at.id))
		return
	}
	w.flush()
	w.waitForMore()
}

func (w *worker) waitForMore() {
	select {
	case <-w.caughtUp:
	default:
		close(w.caughtUp)
	}
	select {
	case <-w.more:
	case <-w.stop:
	case <-w.follower.closing:
	}
}

// offer adds a line to the batch if the client wants it.
func (w *worker) offer(frame []byte) {
	if w.isStopped() || !w.wants(frame) {
		return
	}
	if w.reader != nil {
		frame = bytes.Clone(frame) // the reader uses it again
	}
	w.after = append(w.after[:0], idOf(frame)...)
	w.batch = append(w.batch, frame)
	w.size += len(frame)
	if w.size >= batchBytes || len(w.batch) >= batchEvents {
		w.flush()
	}
}

func (w *worker) wants(frame []byte) bool {
	if w.grep == nil {
		return true
	}
	select {
	case matching <- struct{}{}:
	case <-w.stop:
		return false
	case <-w.follower.closing:
		return false
	}
	defer func() { <-matching }()
	return w.grep.Match(sse.FrameData(frame))
}

// handOver flushes the batch. A gap waits for the line after it, so that a client
// that takes one batch has an id to go on from.
func (w *worker) handOver() {
	if n := len(w.batch); n > 0 && !sse.IsGap(w.batch[n-1]) {
		w.flush()
	}
}

// flush waits until the feed has room for the batch.
func (w *worker) flush() {
	if len(w.batch) == 0 {
		return
	}
	select {
	case w.batches <- w.batch:
		w.batch, w.size = nil, 0
		w.wake()
	case <-w.stop:
	case <-w.follower.closing:
	}
}

func (w *worker) setSearched(id string) {
	if w.grep == nil || len(w.batch) > 0 || w.isStopped() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.searched = id
}

func (w *worker) searchedTo() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.searched
}
