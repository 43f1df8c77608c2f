package sse

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"time"
)

// MediaType is the Content-Type of an event stream.
const MediaType = "text/event-stream"

// pieceSize is how many bytes share one write deadline, so that a client on a
// slow line is not cut off in the middle of a large batch.
const pieceSize = 4 << 10

// SetHeader sets the fields that make a response an event stream. Position is
// the id after which it begins; it is left out if empty.
func SetHeader(h http.Header, o Options, position string) {
	h.Set("Content-Type", MediaType)
	h.Set("Cache-Control", "no-cache, no-transform") // no-transform: proxies must not compress
	h.Set("X-Accel-Buffering", "no")                 // nginx must not hold events back
	if o.Heartbeat > 0 {
		h.Set("SSE-Heartbeat", strconv.FormatInt(o.Heartbeat.Milliseconds(), 10))
	}
	if position != "" {
		h.Set("Last-Event-ID", position)
	}
}

// A Stream is an HTTP response that is an event stream. One goroutine at a time
// may use it. [Serve] is made of it; use it directly for what is no [Source].
type Stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
	clear   bool      // HTTP/2: a deadline that is left behind ends an idle stream
	until   time.Time // the write deadline that is set; zero for none
	written int64
	backlog int64 // of that, since the client last had everything
}

// Open answers the request with the head of an event stream and, if o.Retry is
// set, a retry field, so that the client knows its delay before anything can
// break. Set fields of your own, and those of [SetHeader], before. The error is
// [http.ErrNotSupported], and nothing was written, if w cannot flush; any other
// means that the client is gone.
//
// Give the innermost writer that supports [http.ResponseController]; for Echo
// this is c.Response().Writer.
func Open(w http.ResponseWriter, r *http.Request, o Options) (*Stream, error) {
	if !canFlush(w) {
		return nil, fmt.Errorf("sse: %T cannot flush, is it a middleware's writer without Unwrap? %w", w, http.ErrNotSupported)
	}
	s := &Stream{w: w, control: http.NewResponseController(w), timeout: o.WriteTimeout, clear: r.ProtoMajor != 1}
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead { // net/http sends it when the handler returns
		return s, nil
	}
	return s, s.Send(o.retry())
}

// canFlush looks for what ResponseController.Flush needs, without writing.
func canFlush(w http.ResponseWriter) bool {
	for {
		switch t := w.(type) {
		case http.Flusher, interface{ FlushError() error }:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return false
		}
	}
}

func (o *Options) retry() []byte {
	if o.Retry <= 0 {
		return nil
	}
	return AppendRetry(make([]byte, 0, 32), Jitter(o.Retry))
}

// Jitter returns a random duration of base ± 50 %. Clients that lose their
// server at the same moment must not return at the same moment.
func Jitter(base time.Duration) time.Duration {
	return base/2 + rand.N(base+1)
}

// Send writes the frames and flushes once. Every error means that the client is
// gone; it wraps [os.ErrDeadlineExceeded] if the client took no bytes for
// Options.WriteTimeout.
func (s *Stream) Send(frames ...[]byte) error {
	left := 0
	for _, frame := range frames {
		for len(frame) > 0 {
			if left == 0 {
				if err := s.allow(); err != nil {
					return err
				}
				left = pieceSize
			}
			n, err := s.w.Write(frame[:min(len(frame), left)])
			s.written += int64(n)
			s.backlog += int64(n)
			if err != nil {
				return s.failed("write", err)
			}
			frame, left = frame[n:], left-n
		}
	}
	if err := s.control.Flush(); err != nil {
		return s.failed("flush", err)
	}
	if s.clear && !s.until.IsZero() {
		s.until = time.Time{}
		return s.setDeadline()
	}
	return nil
}

// allow gives the client at least its patience for the next write, and at most
// an eighth more: setting a deadline costs, so one serves many writes.
func (s *Stream) allow() error {
	if s.timeout <= 0 {
		return nil
	}
	now := time.Now()
	patience := Patience(s.timeout, s.backlog)
	if s.until.Sub(now) >= patience {
		return nil
	}
	s.until = now.Add(patience + patience/8)
	return s.setDeadline()
}

// Patience is how long a client may take no bytes, for servers of streams: the
// timeout, and a second for each MiB of the backlog, the bytes that were written
// since the client last had everything, up to 32. The kernel of a client that
// was quick at first holds what the client has yet to read, and takes no more
// before a sixteenth of its buffer is free.
func Patience(timeout time.Duration, backlog int64) time.Duration {
	const perSecond, most = 1 << 20, 32 << 20
	if timeout <= 0 {
		return 0 // for ever
	}
	return timeout + time.Duration(min(backlog, most))*time.Second/perSecond
}

// setDeadline does without if the writer has no deadlines, as in tests.
func (s *Stream) setDeadline() error {
	if err := s.control.SetWriteDeadline(s.until); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("sse: write deadline: %w", err)
	}
	return nil
}

// failed wraps the error of a write. HTTP/2 says only that the stream was
// closed, so the clock decides whether the deadline did it.
func (s *Stream) failed(op string, err error) error {
	if !s.until.IsZero() && !time.Now().Before(s.until) {
		err = os.ErrDeadlineExceeded
	}
	return fmt.Errorf("sse: %s: %w", op, err)
}

// Written is the number of bytes of the stream so far, without the framing of
// HTTP.
func (s *Stream) Written() int64 { return s.written }

// LastEventID is the id of the last event that a returning client has, or "":
// the Last-Event-ID header, which EventSource sends when it reconnects, or the
// query parameter lastEventId for clients that cannot set a header. The header
// wins.
func LastEventID(r *http.Request) string {
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		return id
	}
	return r.URL.Query().Get("lastEventId")
}
