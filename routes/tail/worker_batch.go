package tail

import (
	"bytes"

	"example.com/sse-demo/sse"
)

// What a worker hands over at once.
const (
	batchEvents = 256
	batchBytes  = 16 << 10
)

// offer adds a line to the batch if the client wants it.
func (w *worker) offer(frame []byte) {
	if w.isStopped() || !w.wants(frame) {
		return
	}
	if w.reader != nil {
		frame = bytes.Clone(frame) // the reader uses it again
	}
	w.after = append(w.after[:0], sse.FrameID(frame)...)
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
