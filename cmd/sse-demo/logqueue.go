package main

import (
	"bytes"
	"io"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

const (
	maxQueuedLog   = 4 << 20 // bytes of log lines that wait for a slow writer
	maxQueuedLines = 16 << 10
	flushTimeout   = time.Second // that the end of the process gives a slow writer
)

// A logQueue passes log lines on to a writer that may block, such as a stderr
// that nobody reads. Write never waits for it: a stream that ends must not be
// held up by its own log line. Lines that find the queue full are dropped and
// counted, and when the writer takes lines again, one line has their number.
//
// It is no diode of zerolog, because that drops all of its lines when it is full,
// counts them only when the writer is back, and waits for a blocked one at the end.
type logQueue struct {
	name    string // of the writer, for the lines about it
	out     io.Writer
	onError io.Writer   // another log, for the first error of several in a row; may be nil
	lines   chan []byte // nil is the end
	bytes   atomic.Int64
	dropped atomic.Int64
	done    chan struct{} // closed when run has ended
}

// newLogQueue starts a queue, to be ended by close.
func newLogQueue(name string, out, onError io.Writer) *logQueue {
	q := &logQueue{name: name, out: out, onError: onError, lines: make(chan []byte, maxQueuedLines), done: make(chan struct{})}
	go q.run()
	return q
}

// Write queues a line, or drops it. It never fails.
func (q *logQueue) Write(line []byte) (int, error) {
	size := int64(len(line))
	if q.bytes.Add(size) <= maxQueuedLog {
		select {
		case q.lines <- bytes.Clone(line):
			return len(line), nil
		default:
		}
	}
	q.bytes.Add(-size)
	q.dropped.Add(1)
	return len(line), nil
}

// run writes lines until the end.
func (q *logQueue) run() {
	defer close(q.done)
	var reported int64
	isFailing := false
	for line := range q.lines {
		q.bytes.Add(-int64(len(line)))
		if line != nil {
			isFailing = !q.write(line, isFailing)
		}
		isIdle := line == nil || len(q.lines) == 0
		if dropped := q.dropped.Load(); isIdle && dropped > reported {
			logger := zerolog.New(q.out)
			logger.Warn().Timestamp().Int64("lines", dropped-reported).Msg("log lines were dropped: " + q.name + " did not take them")
			reported = dropped
		}
		if line == nil {
			return
		}
	}
}

// write returns false if the line could not be written.
func (q *logQueue) write(line []byte, isFailing bool) bool {
	_, err := q.out.Write(line)
	if err == nil {
		return true
	}
	q.dropped.Add(1)
	if q.onError != nil && !isFailing {
		logger := zerolog.New(q.onError)
		logger.Error().Timestamp().Err(err).Msg("cannot write " + q.name + ", going on without")
	}
	return false
}

// close writes what is queued, but waits for a blocked writer no longer than
// flushTimeout. The goroutine of a writer that is blocked then ends with the process.
func (q *logQueue) close() {
	timeout := time.After(flushTimeout)
	select {
	case q.lines <- nil:
	case <-timeout:
		return
	}
	select {
	case <-q.done:
	case <-timeout:
	}
}
