package sse

import (
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"example.com/sse-demo/sse/internal/stream"
)

// A response writes to one client, and ends the stream if a write takes too long. A
// write deadline of net/http would also end a silent stream of HTTP/2 when it passes,
// and setting one costs a fifth of an event. So none is set, and a timer, which each
// write sets anew, looks whether that write is late.
type response struct {
	w       http.ResponseWriter
	control *http.ResponseController
	stream  *stream.Stream
	written int64 // bytes that are not in the backlog yet

	mu     sync.Mutex // held while the stream is cut: the handler must not return before
	lateAt time.Time  // when the write under way is late; zero between writes
	timer  *time.Timer
}

// canFlush looks for what ResponseController.Flush needs, without writing.
func canFlush(w http.ResponseWriter) error {
	for inner := w; ; {
		switch t := inner.(type) {
		case http.Flusher, interface{ FlushError() error }:
			return nil
		case interface{ Unwrap() http.ResponseWriter }:
			inner = t.Unwrap()
		default:
			return fmt.Errorf("sse: %T cannot flush, is it a middleware's writer without Unwrap? %w", w, http.ErrNotSupported)
		}
	}
}

// send writes the frames and flushes once. Every error means that the client is gone;
// it wraps [os.ErrDeadlineExceeded] if the client took no bytes for its patience.
func (p *response) send(frames [][]byte) error {
	defer p.endWrite()
	left := 0 // of the piece whose time runs
	for _, frame := range frames {
		for len(frame) > 0 {
			if left == 0 {
				p.beginWrite()
				left = stream.PieceSize
			}
			n, err := p.w.Write(frame[:min(len(frame), left)])
			p.written += int64(n)
			if err != nil {
				return p.failure(err)
			}
			frame, left = frame[n:], left-n
		}
	}
	if left == 0 {
		p.beginWrite()
	}
	if err := p.control.Flush(); err != nil {
		return p.failure(err)
	}
	return nil
}

// beginWrite gives the client its patience for what is written next.
func (p *response) beginWrite() {
	if p.stream.WriteTimeout == 0 {
		return
	}
	now := time.Now()
	p.stream.AddBacklog(p.written, now)
	p.written = 0
	patience := p.stream.Patience(now)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lateAt = now.Add(patience)
	if p.timer == nil {
		p.timer = time.AfterFunc(patience, p.check)
		return
	}
	p.timer.Reset(patience)
}

func (p *response) endWrite() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lateAt = time.Time{}
}

// check ends the stream if a write is late.
func (p *response) check() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isLate() {
		_ = p.control.SetWriteDeadline(time.Unix(1, 0))
	}
}

func (p *response) isLate() bool { return !p.lateAt.IsZero() && !time.Now().Before(p.lateAt) }

// failure is the error of a write, or that it was late: HTTP/2 reports only that the
// stream was closed.
func (p *response) failure(err error) error {
	if p.isLate() {
		err = os.ErrDeadlineExceeded
	}
	return fmt.Errorf("sse: write: %w", err)
}

// finish is called after the last write.
func (p *response) finish(r *http.Request) {
	if p.timer != nil {
		p.timer.Stop()
	}
	if p.stream.WriteTimeout > 0 && p.stream.Reason != stream.ClientStalled && r.ProtoMajor == 1 { // for the final chunk, which net/http writes
		now := time.Now()
		_ = p.control.SetWriteDeadline(now.Add(p.stream.Patience(now)))
	}
}
