package sse

import (
	"context"
	"errors"
	"net/http"
	"runtime"
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
func Serve(w http.ResponseWriter, r *http.Request, source Source, o Options) (err error) {
	s := newSession(source, &o)
	defer func() { s.finish(err) }()
	if err = s.open(w, r, o.Retry); err == nil && s.Reason == "" {
		s.run(r)
	}
	return err
}

// A session is one client on one source. It is on the heap, as are the buffers that
// it needs. Keep the call chain shallow and its frames small: net/http uses most of an
// 8 kB stack, and growing it doubles every stream's stack.
type session struct {
	stream.Stream
	ended    func(Outcome)
	response response
	frames   [][]byte // to be used again
	wake     chan struct{}
}

//go:noinline
func newSession(source Source, o *Options) *session {
	s := &session{ended: o.Ended}
	s.Stream = stream.Stream{
		Source: source, Heartbeat: o.Heartbeat, WriteTimeout: o.WriteTimeout, Shutdown: o.Shutdown,
		Deadline: o.Deadline, PollUntil: o.PollUntil, Sent: o.Sent,
	}
	s.Begin()
	return s
}

// finish closes the source and reports what became of the stream, unless nothing was
// written.
func (s *session) finish(err error) {
	if err == nil && s.ended != nil {
		defer func() { s.ended(Outcome{Reason(s.Reason), s.Err, s.Events, s.Gaps, s.Bytes}) }()
	}
	if err == nil && s.Reason == "" {
		s.Reason, s.Err = stream.SourceFailed, errPanicked
	}
	s.Close()
}

var errPanicked = errors.New("sse: the source panicked")

// open sends the head. It returns an error if nothing was written.
func (s *session) open(w http.ResponseWriter, r *http.Request, retry time.Duration) error {
	if err := canFlush(w); err != nil {
		return err
	}
	s.SetHeader(w.Header())
	s.response.w, s.response.control, s.response.stream = w, http.NewResponseController(w), &s.Stream
	_ = s.response.control.SetWriteDeadline(time.Time{}) // an http.Server with a WriteTimeout has set one
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead { // net/http sends it when the handler returns
		s.Reason = stream.SourceDone
		return nil
	}
	var first []byte
	if retry > 0 {
		first = AppendRetry(make([]byte, 0, 32), Jitter(retry))
	}
	s.Pending.Bytes = int64(len(first))
	s.send([][]byte{first})
	return nil
}

// run sends what there is, then waits for more, until the stream has ended.
func (s *session) run(r *http.Request) {
	client := r.Context()
	s.wake = make(chan struct{}, 1)
	s.Notify(s.notify)
	var set time.Time
	timer := time.AfterFunc(time.Hour, s.notify)
	defer timer.Stop()
	defer s.response.finish(r)
	for s.sendAll(client) {
		if s.Due != set {
			set = s.Due
			timer.Reset(time.Until(set))
		}
		select {
		case <-s.wake:
		case <-s.Shutdown: // sendAll ends the stream when the source has no more
		case <-client.Done():
			s.leave(client)
		}
	}
}

// leave ends the stream because the request's context has ended: the client has left,
// or the time of a middleware has passed.
func (s *session) leave(client context.Context) {
	s.Reason = stream.ClientGone
	if errors.Is(client.Err(), context.DeadlineExceeded) {
		s.Reason = stream.DeadlineReached
	}
}

// notify is called, by any goroutine, when there may be more to send.
func (s *session) notify() {
	select {
	case s.wake <- struct{}{}:
	default: // it is pending already
	}
}

// sendAll sends batches until the source has no more. It returns false if the
// stream has ended.
func (s *session) sendAll(client context.Context) bool {
	for s.Reason == "" {
		frames := s.Next(s.frames[:0], time.Now())
		if len(frames) == 0 {
			break
		}
		s.send(frames)
		clear(frames) // an idle stream holds no events
		s.frames = frames
		if client.Err() != nil && s.Reason == "" { // the source may always have more
			s.leave(client)
		}
		if len(frames) > 1 { // in a burst, what others publish meanwhile is one write
			runtime.Gosched()
		}
	}
	return s.Reason == ""
}

func (s *session) send(frames [][]byte) {
	if err := s.response.send(frames); err != nil {
		s.ClientFailed(err)
		return
	}
	s.Taken(time.Now())
}
