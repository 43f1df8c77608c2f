package tail

import (
	"bytes"
	"regexp"
	"sync"

	"example.com/sse-demo/pubsub"
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
