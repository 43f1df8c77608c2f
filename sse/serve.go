package sse

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"sync"
	"time"

	"example.com/sse-demo/sse/internal/stream"
)

// MediaType is the Content-Type of an event stream.
const MediaType = "text/event-stream"

// Serve answers the request with an event stream: the head, the retry field, and
// what the source has, until the client leaves, the source ends, or the options end
// it. Then it closes the source, if that has a Close method, and calls Options.Ended.
//
// An error means that nothing was written, because w cannot flush, so a handler can
// still answer with it. The source is closed then, too, and Ended is not called. If
// the source panics, its stream has ended as failed, and the panic goes on.
//
// Give the innermost writer that supports [http.ResponseController]; for Echo this is
// c.Response().Writer.
func Serve(w http.ResponseWriter, r *http.Request, source Source, o Options) error {
	s := newSession(w, r, source, &o)
	if err := canFlush(w); err != nil {
		s.Close()
		return err
	}
	s.timer, s.late = time.AfterFunc(time.Hour, s.notify), time.AfterFunc(time.Hour, s.cutIfLate)
	defer s.finish()
	if s.open(o.Retry); s.Reason == "" {
		s.run()
	}
	return nil
}

// A session is one client on one source. It is on the heap, as are the buffers that
// it needs. Keep the call chain shallow and its frames small: net/http uses most of an
// 8 kB stack, and growing it doubles every stream's stack.
type session struct {
	stream.Stream
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController
	ended   func(Outcome)
	frames  [][]byte      // to be used again
	wake    chan struct{} // has a value if there may be something to do
	timer   *time.Timer   // wakes at timerAt
	timerAt time.Time

	late   *time.Timer // looks whether the write under way is late
	mu     sync.Mutex  // held while the stream is cut: the handler must not return before
	lateAt time.Time   // when the write under way is late; zero between writes
}

//go:noinline
func newSession(w http.ResponseWriter, r *http.Request, source Source, o *Options) *session {
	s := &session{w: w, r: r, control: http.NewResponseController(w), ended: o.Ended, wake: make(chan struct{}, 1)}
	s.Stream = stream.Stream{
		Source: source, Heartbeat: o.Heartbeat, WriteTimeout: o.WriteTimeout, Shutdown: o.Shutdown,
		Deadline: o.Deadline, PollUntil: o.PollUntil, Sent: o.Sent,
	}
	s.Begin()
	return s
}

// finish closes the source and reports what became of the stream.
func (s *session) finish() {
	s.timer.Stop()
	s.late.Stop()
	s.limitEnd()
	if s.ended != nil {
		defer func() { s.ended(Outcome{Reason(s.Reason), s.Err, s.Events, s.Gaps, s.Bytes}) }()
	}
	if s.Reason == "" {
		s.Reason, s.Err = stream.SourceFailed, errPanicked
	}
	s.Close()
}

var errPanicked = errors.New("sse: the source panicked")

// open sends the head and the retry field.
func (s *session) open(retry time.Duration) {
	s.SetHeader(s.w.Header())
	_ = s.control.SetWriteDeadline(time.Time{}) // an http.Server with a WriteTimeout has set one
	s.w.WriteHeader(http.StatusOK)
	if s.r.Method == http.MethodHead { // net/http sends it when the handler returns
		s.Reason = stream.SourceDone
		return
	}
	var first []byte
	if retry > 0 {
		first = AppendRetry(make([]byte, 0, 32), Jitter(retry))
	}
	s.Pending.Bytes = int64(len(first))
	s.send([][]byte{first})
}

// run sends what there is, then waits for more, until the stream has ended.
func (s *session) run() {
	s.Notify(s.notify)
	for s.Reason == "" {
		now := time.Now()
		frames := s.Next(s.frames[:0], now)
		if len(frames) == 0 {
			s.wait(now)
			continue
		}
		s.send(frames)
		clear(frames) // an idle stream holds no events
		s.frames = frames
		if s.Reason == "" && s.r.Context().Err() != nil { // the source may always have more
			s.leave()
		}
		if len(frames) > 1 { // in a burst, what others publish meanwhile is one write
			runtime.Gosched()
		}
	}
}

// wait waits until there may be something to do.
func (s *session) wait(now time.Time) {
	if s.Reason != "" {
		return
	}
	if s.timerAt != s.Due {
		s.timerAt = s.Due
		s.timer.Reset(s.Due.Sub(now))
	}
	select {
	case <-s.wake:
	case <-s.Shutdown: // Next ends the stream when the source has no more
	case <-s.r.Context().Done():
		s.leave()
	}
}

// leave ends the stream because the request's context has ended: the client has left,
// or the time of a middleware has passed.
func (s *session) leave() {
	s.Reason = stream.ClientGone
	if errors.Is(s.r.Context().Err(), context.DeadlineExceeded) {
		s.Reason = stream.DeadlineReached
	}
}

// notify is called, by any goroutine, when there may be something to do.
func (s *session) notify() {
	select {
	case s.wake <- struct{}{}:
	default: // it is pending already
	}
}
