package sse

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"time"
)

// A Source is a position in something that goes on: what a stream sends. One
// goroutine at a time uses it. A server of streams does not close it: the handler
// that opened it does so when the stream has ended.
type Source interface {
	// Position is the id after which the source begins, or "". A client that is
	// cut off before its first event resumes there. It is called once, first.
	Position() string
	// Notify has the source call wake, from any goroutine, when there may be more
	// than Next has returned: at once, if there already is. Wake does not block,
	// and does not use the source. Next may be called before Notify.
	Notify(wake func())
	// Next appends to frames what follows the position, a batch at the most, and
	// moves on. It must not wait, neither for a disk nor for a lock that is held
	// while something else waits: the goroutine may serve other streams, too. If
	// there is nothing, it returns frames as they are. It is called again only when
	// all of the batch was sent. io.EOF, possibly with the last frames, ends the
	// stream; so does any other error, as a failure.
	Next(frames [][]byte) ([][]byte, error)
}

// heartbeat is a comment, which clients ignore and proxies count as a sign of
// life.
var heartbeat = AppendComment(nil, "heartbeat")

// Serve answers the request with an event stream: the head, the retry field, and
// what the source has, until the client leaves, the source ends, or the options
// end it. An error means that nothing was written, because w cannot flush, so a
// handler can still answer with it. Everything later is in the Outcome.
func Serve(w http.ResponseWriter, r *http.Request, source Source, o Options) (Outcome, error) {
	s := &session{source: source, options: o}
	err := s.serve(w, r)
	return s.outcome, err
}

// A session is one client on one source. It is on the heap, as are the buffers that
// it needs, and only a few functions call each other down to run: net/http needs
// most of a stack of 8 kB, and with a little more each stream would have one of 16.
type session struct {
	stream    *Stream
	source    Source
	options   Options
	frames    [][]byte // to be used again
	lastWrite time.Time
	due       time.Time // when a heartbeat or the deadline may be due
	wake      chan struct{}
	outcome   Outcome // its Reason is empty until the end
}

// serve returns an error if nothing was written.
func (s *session) serve(w http.ResponseWriter, r *http.Request) error {
	if err := s.open(w, r); err != nil {
		return err
	}
	if s.outcome.Reason == "" {
		s.run(r.Context())
	}
	s.outcome.Bytes = s.stream.Written() // with comments, and what was written of a batch that failed
	return nil
}

// open sends the head. It returns an error if nothing was written.
func (s *session) open(w http.ResponseWriter, r *http.Request) (err error) {
	SetHeader(w.Header(), s.options, s.source.Position())
	s.stream, err = Open(w, r, s.options)
	switch {
	case errors.Is(err, http.ErrNotSupported):
		return err
	case err != nil:
		s.outcome.ClientFailed(err)
	case r.Method == http.MethodHead:
		s.outcome.Reason = SourceDone
	}
	return nil
}

// run sends what there is, then waits for more, until the stream has ended.
func (s *session) run(client context.Context) {
	s.lastWrite = time.Now()
	s.wake = make(chan struct{}, 1)
	s.source.Notify(s.notify)
	timer := time.AfterFunc(s.setDue(), s.notify)
	defer timer.Stop()
	for s.sendAll() {
		select {
		case <-s.wake:
			s.checkClock(timer)
		case <-s.options.Shutdown: // sendAll ends the stream when the source has no more
		case <-client.Done():
			s.outcome.Reason = ClientGone
		}
	}
	s.stream.deadline.finish()
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
func (s *session) sendAll() bool {
	for s.outcome.Reason == "" {
		isShuttingDown := s.options.IsShuttingDown()
		frames, err := s.source.Next(s.frames[:0])
		if len(frames) > 0 && s.send(frames...) {
			s.outcome.Count(frames)
		}
		if s.outcome.Reason == "" { // the client is still there
			s.outcome.Reason = s.options.Ending(len(frames), err, isShuttingDown)
		}
		if s.outcome.Reason == SourceFailed {
			s.outcome.Err = err
		}
		clear(frames) // an idle stream holds no events
		s.frames = frames
		if len(frames) == 0 {
			break
		}
		if len(frames) > 1 { // in a burst, what others publish meanwhile is one write
			runtime.Gosched()
		}
	}
	return s.outcome.Reason == ""
}

func (s *session) send(frames ...[]byte) bool {
	if err := s.stream.Send(frames...); err != nil {
		s.outcome.ClientFailed(err)
		return false
	}
	s.lastWrite = time.Now()
	return true
}

// checkClock sends a heartbeat if one is due. The timer is not set anew with
// every event, so when it fires the silence may just have begun.
func (s *session) checkClock(timer *time.Timer) {
	if time.Now().Before(s.due) {
		return
	}
	isSilent := s.options.Heartbeat > 0 && time.Since(s.lastWrite) >= s.options.Heartbeat
	if isSilent && s.options.Ending(0, nil, s.options.IsShuttingDown()) == "" { // else the end is what comes next
		s.send(heartbeat)
	}
	timer.Reset(s.setDue())
}

// setDue notes when the next heartbeat or the deadline is due, whichever comes
// first, and returns the time until then.
func (s *session) setDue() time.Duration {
	s.due = s.options.NextDue(s.lastWrite)
	return time.Until(s.due)
}

// A ServeFunc is Serve for a server that may return before the stream has ended.
// It calls ended once with what became of the stream; if it returns an error,
// nothing was written, and it does not call ended.
type ServeFunc func(w http.ResponseWriter, r *http.Request, source Source, o Options, ended func(Outcome)) error

// ServeInHandler is the ServeFunc that serves the stream in the goroutine of its
// handler. If the source panics, the stream has ended as failed, and the panic
// goes on.
func ServeInHandler(w http.ResponseWriter, r *http.Request, source Source, o Options, ended func(Outcome)) error {
	s := &session{source: source, options: o}
	hasPanicked := true
	defer func() {
		if hasPanicked {
			s.outcome.Reason, s.outcome.Err = SourceFailed, errPanicked
			ended(s.outcome)
		}
	}()
	err := s.serve(w, r)
	hasPanicked = false
	if err == nil {
		ended(s.outcome)
	}
	return err
}

var errPanicked = errors.New("sse: the source panicked")
