package main

import (
	"bytes"
	"io"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	maxQueuedLog = 4 << 20     // bytes of log lines that wait for a slow writer
	keptLog      = 64 << 10    // of them, for which memory is kept
	flushTimeout = time.Second // that the end of the process gives a slow writer
)

// A logQueue passes log lines on to a writer that may block, such as a stderr
// that nobody reads. Write never waits for it: a stream that ends must not be
// held up by its own log line. Lines that find the queue full are dropped and
// counted, and when the writer takes lines again, one says how many.
//
// It is no diode of zerolog, because that drops all of its lines when it is full,
// counts them only when the writer is back, and waits for a blocked one at the end.
type logQueue struct {
	name string    // of the writer, for the line about those that were dropped
	out  io.Writer // used by run alone
	wake chan struct{}
	done chan struct{} // closed when run has ended

	mu      sync.Mutex
	pending []byte // whole lines
	dropped int64  // since the start
	closed  bool
}

// newLogQueue starts a queue, to be ended by close.
func newLogQueue(name string, out io.Writer) *logQueue {
	q := &logQueue{name: name, out: out, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go q.run()
	return q
}

// Write queues a line, or drops it. It never fails.
func (q *logQueue) Write(line []byte) (int, error) {
	q.mu.Lock()
	if q.closed || len(q.pending)+len(line) > maxQueuedLog {
		q.dropped++
	} else {
		q.pending = append(q.pending, line...)
	}
	q.mu.Unlock()
	q.notify()
	return len(line), nil
}

// Dropped is how many lines were not written.
func (q *logQueue) Dropped() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}

// close writes what is queued, but waits for a blocked writer no longer than
// flushTimeout. The goroutine of a writer that is blocked then ends with the process.
func (q *logQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.notify()
	timeout := time.NewTimer(flushTimeout)
	defer timeout.Stop()
	select {
	case <-q.done:
	case <-timeout.C:
	}
}

func (q *logQueue) notify() {
	select {
	case q.wake <- struct{}{}:
	default: // it is pending already
	}
}

// run writes lines until the queue is closed and empty.
func (q *logQueue) run() {
	defer close(q.done)
	var buffer []byte // to be used again
	var reported int64
	for range q.wake {
		for {
			lines, dropped, closed := q.take(buffer)
			q.writeLines(lines)
			q.report(dropped - reported)
			isIdle := len(lines) == 0 && dropped == reported
			if isIdle && closed {
				return
			}
			buffer, reported = lines[:0], dropped
			if cap(buffer) > keptLog {
				buffer = nil
			}
			if isIdle {
				break
			}
		}
	}
}

// take exchanges the lines that are pending for an empty buffer.
func (q *logQueue) take(empty []byte) (lines []byte, dropped int64, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	lines, q.pending = q.pending, empty
	return lines, q.dropped, q.closed
}

// writeLines writes line by line, as zerolog's writers expect.
func (q *logQueue) writeLines(lines []byte) {
	for line := range bytes.Lines(lines) {
		if _, err := q.out.Write(line); err != nil {
			q.mu.Lock()
			q.dropped++
			q.mu.Unlock()
		}
	}
}

// report writes how many lines were dropped since the last report.
func (q *logQueue) report(dropped int64) {
	if dropped > 0 {
		logger := zerolog.New(q.out)
		logger.Warn().Timestamp().Int64("lines", dropped).Msg("log lines were dropped: " + q.name + " did not take them")
	}
}
