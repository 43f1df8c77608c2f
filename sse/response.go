package sse

import (
	"fmt"
	"net/http"
	"os"
	"time"

	"example.com/sse-demo/sse/internal/stream"
)

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

// send writes the frames and flushes once. Every error means that the client is gone.
func (s *session) send(frames [][]byte) {
	err := s.write(frames)
	isLate := s.endWrite()
	switch {
	case err == nil:
		s.Taken(time.Now())
	case isLate: // HTTP/2 says only that the stream was closed
		s.ClientFailed(fmt.Errorf("sse: write: %w", os.ErrDeadlineExceeded))
	default:
		s.ClientFailed(fmt.Errorf("sse: write: %w", err))
	}
}

func (s *session) write(frames [][]byte) error {
	left := 0 // of the piece whose time runs
	for _, frame := range frames {
		for len(frame) > 0 {
			if left == 0 {
				s.beginPiece()
				left = stream.PieceSize
			}
			n, err := s.w.Write(frame[:min(len(frame), left)])
			if err != nil {
				return err
			}
			frame, left = frame[n:], left-n
		}
	}
	if left == 0 {
		s.beginPiece()
	}
	return s.control.Flush()
}

// beginPiece gives the client its patience for what is written next. A write deadline of
// net/http would also end a silent stream of HTTP/2 when it passes, and setting one costs
// a fifth of an event. So none is set, and a timer looks whether the write is late.
func (s *session) beginPiece() {
	if s.WriteTimeout == 0 {
		return
	}
	now := time.Now()
	patience := s.Patience(now)
	s.mu.Lock()
	s.lateAt = now.Add(patience)
	s.mu.Unlock()
	s.late.Reset(patience)
}

// endWrite reports whether the write was late.
func (s *session) endWrite() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.lateAt = time.Time{} }()
	return s.isLate()
}

func (s *session) isLate() bool { return !s.lateAt.IsZero() && !time.Now().Before(s.lateAt) }

func (s *session) cutIfLate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isLate() {
		_ = s.control.SetWriteDeadline(time.Unix(1, 0))
	}
}

// limitEnd sets a deadline for the final chunk of HTTP/1.1, which net/http writes.
func (s *session) limitEnd() {
	if s.WriteTimeout > 0 && s.Reason != stream.ClientStalled && s.r.ProtoMajor == 1 {
		now := time.Now()
		_ = s.control.SetWriteDeadline(now.Add(s.Patience(now)))
	}
}
