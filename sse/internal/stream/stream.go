// Package stream has what a stream is, whichever loop serves it: what it may still
// send, when it is due, how long its client may stall, and how it has ended. Package
// sse and its event loop differ only in how they write and wait.
package stream

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"
)

// A Source is an sse.Source.
type Source interface {
	Position() string
	Notify(wake func())
	Next(frames [][]byte) ([][]byte, error)
}

// Why a stream has ended: the values of sse.Reason.
const (
	SourceDone      = "done"
	ShutdownReached = "shutdown"
	DeadlineReached = "deadline"
	SourceFailed    = "failed"
	ClientGone      = "client"
	ClientStalled   = "stalled"
)

// A Stream is one client on one source. One goroutine at a time uses it.
type Stream struct {
	Source

	// What sse.Options say.
	Heartbeat    time.Duration
	WriteTimeout time.Duration
	Shutdown     <-chan struct{}
	Deadline     time.Time
	PollUntil    time.Time
	Sent         func(events, gaps int, bytes int64)

	Counts        // what the client has taken
	Reason string // why the stream has ended; empty until then
	Err    error  // of the source or of a write, if one has failed

	Due time.Time // when Next is to be called, if nothing wakes the stream before

	Pending    Counts    // what the client has yet to take
	lastWrite  time.Time // when it has taken something
	readUntil  time.Time // when a client at slowestRate has read what was written
	drainUntil time.Time // zero before the shutdown was noticed
}

// Counts are events, gaps among them, and bytes without the framing of HTTP.
type Counts struct {
	Events, Gaps int
	Bytes        int64
}

// Begin is called once, when the stream begins.
func (s *Stream) Begin() {
	s.lastWrite = time.Now()
	s.Heartbeat = min(max(s.Heartbeat, 0), longest)
	s.WriteTimeout = min(max(s.WriteTimeout, 0), longest)
}

// longest is the longest duration of an option. A multiple of it must still be a
// duration.
const longest = 10 * 365 * 24 * time.Hour

// Next appends what is to be sent next, which may be a heartbeat, and decides whether
// the stream ends with it. If it appends nothing, the stream waits. Due is then later
// than now.
func (s *Stream) Next(frames [][]byte, now time.Time) [][]byte {
	s.noteShutdown(now) // before Next: what was published before the shutdown is still sent
	frames, err := s.Source.Next(frames)
	for _, frame := range frames {
		s.Pending.Bytes += int64(len(frame))
		if IsGap(frame) {
			s.Pending.Gaps++
		}
	}
	s.Pending.Events = len(frames)
	s.AddBacklog(s.Pending.Bytes, now)
	s.Reason = s.ending(len(frames), err, now)
	if s.Reason == SourceFailed {
		s.Err = err
	}
	if s.Reason == "" && !now.Before(s.Due) {
		frames = s.onDue(frames, now)
	}
	return frames
}

// ending returns the reason to end after a batch of so many frames, with which the
// source has returned err, or "" to go on.
func (s *Stream) ending(batch int, err error, now time.Time) string {
	switch {
	case errors.Is(err, io.EOF):
		return SourceDone
	case err != nil:
		return SourceFailed
	case s.isPollOver(now):
		return SourceDone
	case !s.Deadline.IsZero() && !now.Before(s.Deadline):
		return DeadlineReached
	case !s.drainUntil.IsZero() && (batch == 0 || !now.Before(s.drainUntil)):
		return ShutdownReached
	default:
		return ""
	}
}

// isPollOver reports whether a long poll has its answer: all that was there, or else
// the first events that came, or nothing in time.
func (s *Stream) isPollOver(now time.Time) bool {
	if s.PollUntil.IsZero() || s.Events+s.Pending.Events == 0 && now.Before(s.PollUntil) {
		return false
	}
	source, ok := s.Source.(interface{ Behind() bool })
	return !ok || !source.Behind()
}

// maxDrain is how long a stream goes on after the shutdown, if its source always has
// more. Its client continues after its last event elsewhere.
const maxDrain = 5 * time.Second

func (s *Stream) noteShutdown(now time.Time) {
	if !s.drainUntil.IsZero() {
		return
	}
	select {
	case <-s.Shutdown:
		s.drainUntil = now.Add(maxDrain)
	default:
	}
}

// Taken notes that the client has taken all that was to be sent.
func (s *Stream) Taken(now time.Time) {
	sent := s.Pending
	s.Pending = Counts{}
	s.Events += sent.Events
	s.Gaps += sent.Gaps
	s.Bytes += sent.Bytes
	s.lastWrite = now
	if s.Sent != nil && sent != (Counts{}) {
		s.Sent(sent.Events, sent.Gaps, sent.Bytes)
	}
}

// ClientFailed ends the stream because a write has failed with err. The failure of a
// source is still the reason to report.
func (s *Stream) ClientFailed(err error) {
	if s.Reason == SourceFailed {
		return
	}
	s.Reason, s.Err = ClientGone, err
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.Reason = ClientStalled
	}
}

// Close closes the source, if it has a Close method.
func (s *Stream) Close() {
	switch source := s.Source.(type) {
	case interface{ Close() }:
		source.Close()
	case io.Closer:
		_ = source.Close() // nothing depends on it
	}
}

// SetHeader sets the fields that make a response an event stream, which begins after
// the event of the source's position.
func (s *Stream) SetHeader(h http.Header) {
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache, no-transform") // no-transform: proxies must not compress
	h.Set("X-Accel-Buffering", "no")                 // nginx must not hold events back
	if s.Heartbeat > 0 {
		h.Set("SSE-Heartbeat", strconv.FormatInt(s.Heartbeat.Milliseconds(), 10))
	}
	if position := s.Position(); position != "" {
		h.Set("Last-Event-ID", position)
	}
}

// IsGap reports whether frame reports a loss. An event that a publisher has named
// "gap" has an id, which is encoded first.
func IsGap(frame []byte) bool { return bytes.HasPrefix(frame, []byte("event: gap\n")) }
