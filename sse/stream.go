package sse

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// MediaType is the Content-Type of an event stream.
const MediaType = "text/event-stream"

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
	w        http.ResponseWriter
	control  *http.ResponseController
	deadline writeDeadline
	written  int64
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
	control := http.NewResponseController(w)
	s := &Stream{w: w, control: control, deadline: newWriteDeadline(control, o.WriteTimeout, r.ProtoMajor != 1)}
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
	base = min(max(base, 0), maxDelay)
	return base/2 + rand.N(base+1)
}

// maxDelay is the longest delay whose half as much again is a time.Duration, 195
// years.
const maxDelay = math.MaxInt64 / 3 * 2

// Send writes the frames and flushes once. Every error means that the client is
// gone; it wraps [os.ErrDeadlineExceeded] if the client took no bytes for
// Options.WriteTimeout (see [Backlog]).
func (s *Stream) Send(frames ...[]byte) error {
	defer s.deadline.end()
	left := 0 // of the piece that the deadline is for
	for _, frame := range frames {
		for len(frame) > 0 {
			if left == 0 {
				if err := s.deadline.begin(s.written); err != nil {
					return err
				}
				left = pieceSize
			}
			n, err := s.w.Write(frame[:min(len(frame), left)])
			s.written += int64(n)
			if err != nil {
				return fmt.Errorf("sse: write: %w", s.deadline.cause(err))
			}
			frame, left = frame[n:], left-n
		}
	}
	if err := s.control.Flush(); err != nil {
		return fmt.Errorf("sse: flush: %w", s.deadline.cause(err))
	}
	return nil
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
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		text, ok := strings.CutPrefix(pair, "lastEventId=")
		if !ok {
			continue
		}
		if id, err := url.QueryUnescape(text); err == nil {
			return id
		}
		return text // it is no id, and the stream says so
	}
	return ""
}
