package sse

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"
)

// MediaType is the Content-Type of an event stream.
const MediaType = "text/event-stream"

// pieceSize is how many bytes share one write deadline, so that a client on a
// slow line is not cut off in the middle of a large batch.
const pieceSize = 4 << 10

// Options are the times of a [Stream]. The zero value is usable: no retry field,
// no heartbeat, no write deadline.
type Options struct {
	Retry        time.Duration // base of the reconnect delay, see [Jitter]
	Heartbeat    time.Duration // silence after which HeartbeatDue fires
	WriteTimeout time.Duration // how long a client may take no bytes
}

// A Stream is an HTTP response that is an event stream. One goroutine at a time
// may use it.
type Stream struct {
	w         http.ResponseWriter
	control   *http.ResponseController
	options   Options
	heartbeat *time.Timer // made by HeartbeatDue
	deadline  time.Time   // of the write under way
	lastWrite time.Time
	written   int64

	// In place of w and control where the connection was taken over:
	conn  net.Conn
	raw   syscall.RawConn // to write without waiting; nil where that is not possible
	rest  []byte          // what is yet to be written, framing included
	talks bool            // the client has sent more than its request
}

// Open answers the request with the head of an event stream and, where
// o.Retry is set, a retry field, so that the client knows its delay before
// anything can break. Nothing may have been written to w before. Give the
// innermost writer that supports [http.ResponseController]; for Echo this is
// c.Response().Writer.
func Open(w http.ResponseWriter, o Options) (*Stream, error) {
	s := &Stream{w: w, control: http.NewResponseController(w), options: o}
	for _, field := range head {
		w.Header().Set(field.name, field.value)
	}
	w.WriteHeader(http.StatusOK)
	return s, s.Send(s.retry())
}

// head is what makes a response an event stream.
var head = []struct{ name, value string }{
	{"Content-Type", MediaType},
	{"Cache-Control", "no-cache, no-transform"}, // no-transform: proxies must not compress
	{"X-Accel-Buffering", "no"},                 // nginx must not hold events back
}

func (s *Stream) retry() []byte {
	if s.options.Retry <= 0 {
		return nil
	}
	return AppendRetry(make([]byte, 0, 32), Jitter(s.options.Retry))
}

// Jitter returns a random duration of base ± 50 %. Clients that lose their
// server at the same moment must not return at the same moment.
func Jitter(base time.Duration) time.Duration {
	return base/2 + rand.N(base+1)
}

// Send writes the frames and flushes once.
func (s *Stream) Send(frames ...[]byte) error {
	if s.conn != nil {
		s.frame(frames)
		return s.sendRest()
	}
	left := 0
	for _, frame := range frames {
		for len(frame) > 0 {
			if left == 0 {
				if err := s.allow(s.options.WriteTimeout); err != nil {
					return err
				}
				left = pieceSize
			}
			n, err := s.w.Write(frame[:min(len(frame), left)])
			s.written += int64(n)
			if err != nil {
				return s.failed("write", err)
			}
			frame, left = frame[n:], left-n
		}
	}
	if err := s.control.Flush(); err != nil {
		return s.failed("flush", err)
	}
	s.lastWrite = time.Now()
	return s.allow(0)
}

// allow gives the client d for the next write; 0 is for ever. A deadline that
// stayed behind would end an idle HTTP/2 stream when it passes. A writer without
// deadlines, as in tests, is used without.
func (s *Stream) allow(d time.Duration) error {
	if s.options.WriteTimeout <= 0 {
		return nil
	}
	s.deadline = time.Time{}
	if d > 0 {
		s.deadline = time.Now().Add(d)
	}
	err := s.setDeadline(s.deadline)
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("sse: write deadline: %w", err)
	}
	return nil
}

func (s *Stream) setDeadline(t time.Time) error {
	if s.conn != nil {
		return s.conn.SetWriteDeadline(t)
	}
	return s.control.SetWriteDeadline(t)
}

// failed wraps the error of a write. HTTP/2 says only that the stream was
// closed, so the clock tells whether the deadline did it.
func (s *Stream) failed(op string, err error) error {
	if !s.deadline.IsZero() && !time.Now().Before(s.deadline) {
		err = os.ErrDeadlineExceeded
	}
	return fmt.Errorf("sse: %s: %w", op, err)
}

// HeartbeatDue returns a channel that receives when the stream may have been
// silent for Options.Heartbeat; call [Stream.Heartbeat] then.
func (s *Stream) HeartbeatDue() <-chan time.Time {
	if s.options.Heartbeat <= 0 {
		return nil
	}
	if s.heartbeat == nil {
		s.heartbeat = time.NewTimer(time.Until(s.NextHeartbeat()))
	}
	return s.heartbeat.C
}

// NextHeartbeat is when the stream will have been silent for Options.Heartbeat,
// for those who wait for many streams with one timer.
func (s *Stream) NextHeartbeat() time.Time { return s.lastWrite.Add(s.options.Heartbeat) }

// Heartbeat sends a comment if the stream was silent for Options.Heartbeat, and
// starts the wait for the next. Asking the clock here is cheaper than winding
// the timer up again after every event.
func (s *Stream) Heartbeat() error {
	due := s.NextHeartbeat()
	if wait := time.Until(due); wait > 0 {
		s.heartbeat.Reset(wait)
		return nil
	}
	s.heartbeat.Reset(s.options.Heartbeat)
	return s.Send(heartbeat)
}

// heartbeat is a comment, which clients ignore.
var heartbeat = AppendComment(nil, "heartbeat")

// Written is the number of bytes of the stream so far, without the framing of
// HTTP.
func (s *Stream) Written() int64 { return s.written }

// LastEventID is the id of the last event that a client saw, or "": the
// Last-Event-ID header, which EventSource sends when it reconnects, or the query
// parameter lastEventId for clients that cannot set a header. The header wins.
func LastEventID(r *http.Request) string {
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		return id
	}
	_ = r.ParseForm() // what cannot be parsed is no id
	return r.Form.Get("lastEventId")
}
