package eventloop

import (
	"errors"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"example.com/sse-demo/sse"
)

// A session is one client on one source. Its owner, the goroutine that serves it
// at present, uses everything but input, left and state.
type session struct {
	worker  *worker
	conn    conn
	source  sse.Source
	options sse.Options
	ended   func(sse.Outcome)

	failure   error       // of a source that has panicked
	outcome   sse.Outcome // its Reason is empty until the end is written or cannot be
	sending   sse.Counts  // what counts when the connection has taken all that is to be written
	backlog   sse.Backlog
	lastWrite time.Time
	due       time.Time // when a heartbeat or the deadline may be due
	index     int       // on the worker's clock

	watcher *watcher    // nil if a goroutine of its own waits for the client
	watched int         // the file descriptor that the watcher knows it by
	input   int         // bytes that the client has sent after its request, for the goroutine that reads them
	left    atomic.Bool // the client has left, or the loop was closed
	state   state       // guarded by worker.mu
}

// batchesPerStep bounds how many batches of one source are written before other
// streams get their step.
const batchesPerStep = 8

// heartbeat is a comment, which clients ignore and proxies count as a sign of
// life.
var heartbeat = [][]byte{sse.AppendComment(nil, "heartbeat")}

// scratch is what a step needs while it runs: a goroutine that makes steps has one
// for all its streams.
type scratch struct {
	now    time.Time // when the pass began
	frames [][]byte
	buffer
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// begin makes the first step in the goroutine of the handler, so that the head and
// the first events are one write, and gives the stream to its worker.
func (s *session) begin() {
	scratch := scratches.Get().(*scratch)
	scratch.now = time.Now()
	more, err := s.step(scratch)
	scratches.Put(scratch)
	if s.hasEnded(err) {
		s.finish()
		return
	}
	s.notify()
	s.watch()
	if more {
		s.wake()
	}
	if !s.worker.join(s, err != nil) {
		s.outcome.Reason = sse.ClientGone
		s.finish()
	}
}

// hasEnded notes a write that has failed with err, and reports whether the stream
// is over.
func (s *session) hasEnded(err error) bool {
	if err != nil && !errors.Is(err, errWouldBlock) {
		s.clientFailed(err)
		return true
	}
	return err == nil && s.outcome.Reason != ""
}

// clientFailed ends the stream because of an error of a write. If the end was
// being written, that is still why.
func (s *session) clientFailed(err error) {
	if s.outcome.Reason == "" {
		s.outcome.ClientFailed(err)
	}
}

// step sends what the source has, and the end of the stream if it has to end. It
// returns more if there may be more to send, and errWouldBlock if the socket did
// not take all of it; the rest is then to be written by conn.flush.
func (s *session) step(scratch *scratch) (more bool, err error) {
	if s.left.Load() {
		s.outcome.Reason = sse.ClientGone
		return false, nil
	}
	for range batchesPerStep {
		isShuttingDown := s.options.IsShuttingDown()
		frames, failed := s.next(scratch.frames[:0])
		s.outcome.Reason = s.options.Ending(len(frames), failed, isShuttingDown)
		if s.outcome.Reason == sse.SourceFailed {
			s.outcome.Err = failed
		}
		if len(frames) > 0 || s.outcome.Reason != "" || len(s.conn.unsent) > 0 {
			err = s.send(scratch, frames)
		}
		clear(frames) // an idle stream holds no events
		scratch.frames = frames
		if err != nil || len(frames) == 0 || s.outcome.Reason != "" {
			return false, err
		}
	}
	return true, nil
}

// next calls Next of the source; a panic is an error of the source.
func (s *session) next(frames [][]byte) (batch [][]byte, err error) {
	defer func() {
		s.catch(recover())
		if s.failure != nil {
			batch, err = frames, s.failure
		}
	}()
	if s.failure == nil {
		return s.source.Next(frames)
	}
	return frames, s.failure
}

// position calls Position of the source.
func (s *session) position() string {
	defer func() { s.catch(recover()) }()
	return s.source.Position()
}

// notify calls Notify of the source.
func (s *session) notify() {
	defer func() { s.catch(recover()) }()
	s.source.Notify(s.wake)
}

// catch notes a panic of the source: its next step ends the stream, cleanly.
func (s *session) catch(panicked any) {
	if panicked == nil {
		return
	}
	s.failure = &sse.PanicError{Value: panicked, Stack: debug.Stack()}
	s.wake()
}

// send writes frames as one chunk, behind what is yet to be written, and the end
// of the response if the stream has ended.
func (s *session) send(scratch *scratch, frames [][]byte) error {
	s.sending.Count(frames)
	return s.write(scratch, frames)
}

func (s *session) write(scratch *scratch, frames [][]byte) error {
	s.backlog.Add(int(s.sending.Bytes), scratch.now, s.options.WriteTimeout)
	err := s.conn.tryWrite(&scratch.buffer, frames, s.outcome.Reason != "")
	if err == nil {
		s.sent(scratch.now)
	}
	return err
}

// patience is how long the client may take no bytes from now on.
func (s *session) patience() time.Duration {
	return s.backlog.Patience(time.Now(), s.options.WriteTimeout)
}

// sent counts what the connection has taken.
func (s *session) sent(now time.Time) {
	s.outcome.Events += s.sending.Events
	s.outcome.Gaps += s.sending.Gaps
	s.outcome.Bytes += s.sending.Bytes
	s.sending = sse.Counts{}
	s.lastWrite = now
}

// sendHeartbeat sends a comment if the stream was silent for long enough.
func (s *session) sendHeartbeat(scratch *scratch) error {
	if s.options.Heartbeat <= 0 || scratch.now.Sub(s.lastWrite) < s.options.Heartbeat {
		return nil
	}
	s.sending.Bytes += int64(len(heartbeat[0]))
	return s.write(scratch, heartbeat)
}

// leave is called, by any goroutine, when the client has left. Closing the
// connection ends a write that waits for it.
func (s *session) leave() {
	s.left.Store(true)
	s.conn.Close()
	s.wake()
}

// finish closes the connection and reports what became of the stream. The owner
// calls it, once, when no other goroutine can own the stream any more.
func (s *session) finish() {
	s.watcher.remove(s)
	s.conn.Close()
	go func() {
		defer s.worker.loop.running.Done()
		s.ended(s.outcome)
	}()
}
