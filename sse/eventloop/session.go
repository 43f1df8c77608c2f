package eventloop

import (
	"errors"
	"log"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/internal/stream"
)

// A session is one client on one source. Its owner, the goroutine that serves it
// at present, uses everything but input, left and state.
type session struct {
	stream.Stream
	worker  *worker
	conn    conn
	ended   func(sse.Outcome) // may be nil
	failure error             // of a source that has panicked
	due     time.Time         // when a heartbeat or the end may be due
	index   int               // on the worker's clock

	watcher *watcher    // nil if waitClosed waits for the client
	watched int         // the file descriptor that the watcher knows it by
	input   int         // bytes that the client has sent after its request, for the goroutine that reads them
	left    atomic.Bool // the client has left, or the loop was closed
	state   state       // guarded by worker.mu
}

func newSession(w *worker, c conn, source sse.Source, o sse.Options) *session {
	s := &session{worker: w, conn: c, ended: o.Ended, index: notOnClock}
	s.Begin(source, stream.Settings{
		Heartbeat: o.Heartbeat, WriteTimeout: o.WriteTimeout, Shutdown: o.Shutdown,
		Deadline: o.Deadline, PollUntil: o.PollUntil, Sent: o.Sent,
	})
	return s
}

// batchesPerStep bounds how many batches of one source are written before other
// streams get their step.
const batchesPerStep = 8

// scratch is what a step needs while it runs: a goroutine that makes steps has one
// for all its streams.
type scratch struct {
	now    time.Time // when the pass began
	frames [][]byte
	buffer
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// setHead prepares the head and the retry field.
func (s *session) setHead(header http.Header, retry time.Duration) {
	var first []byte
	if retry > 0 {
		first = sse.AppendRetry(nil, sse.Jitter(retry))
	}
	s.guard(func() { s.SetHeader(header) })
	s.conn.setHead(header, first)
	s.Pending.Bytes = int64(len(first))
}

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
	s.guard(func() { s.Notify(s.wake) })
	s.watch()
	if more {
		s.wake()
	}
	if !s.worker.join(s, err != nil) {
		s.Reason = stream.ClientGone
		s.finish()
	}
}

// guard calls what belongs to the source. If that panics, the next step ends the
// stream.
func (s *session) guard(call func()) {
	defer func() {
		if p := recover(); p != nil {
			s.failure = &sse.PanicError{Value: p, Stack: debug.Stack()}
			s.wake()
		}
	}()
	call()
}

// hasEnded notes a write that has failed with err, and reports whether the stream
// is over.
func (s *session) hasEnded(err error) bool {
	if errors.Is(err, errWouldBlock) {
		return false
	}
	if err != nil {
		s.ClientFailed(err)
	}
	return s.Reason != ""
}

// step sends what the source has, and the end of the stream if it has to end. It
// returns more if there may be more to send, and errWouldBlock if the socket did
// not take all of it; the rest is then to be written by conn.flush.
func (s *session) step(scratch *scratch) (more bool, err error) {
	if s.left.Load() {
		s.Reason = stream.ClientGone
		return false, nil
	}
	for range batchesPerStep {
		frames := s.next(scratch.frames[:0])
		if len(frames) > 0 || s.Reason != "" || len(s.conn.unsent) > 0 {
			err = s.write(scratch, frames)
		}
		clear(frames) // an idle stream holds no events
		scratch.frames = frames
		if err != nil || len(frames) == 0 || s.Reason != "" {
			return false, err
		}
	}
	return true, nil
}

// next asks the source for a batch.
func (s *session) next(frames [][]byte) (batch [][]byte) {
	if s.failure == nil {
		s.guard(func() { batch = s.Next(frames) })
	}
	if s.failure != nil {
		s.Reason, s.Err = stream.SourceFailed, s.failure
		return frames
	}
	return batch
}

// write writes frames as one chunk, behind what is yet to be written, and the end of
// the response if the stream has ended.
func (s *session) write(scratch *scratch, frames [][]byte) error {
	s.AddBacklog(s.Pending.Bytes, scratch.now)
	err := s.conn.tryWrite(&scratch.buffer, frames, s.Reason != "")
	if err == nil {
		s.taken(scratch.now)
	}
	return err
}

// taken counts what the client has taken.
func (s *session) taken(now time.Time) {
	s.guard(func() { s.Taken(now) })
}

// isEnding reports whether the stream ends if its source has nothing.
func (s *session) isEnding() (is bool) {
	s.guard(func() { is = s.IsEnding() })
	return is
}

// maxInput is how many bytes a client may send after its request. They are
// dropped; a client that sends more is cut off.
const maxInput = 64 << 10

// watch has leave called when the client leaves.
func (s *session) watch() {
	if !s.worker.loop.watches(s) {
		s.worker.loop.running.Go(s.waitClosed)
	}
}

// waitClosed waits until the client leaves, or the connection is closed here.
func (s *session) waitClosed() {
	var dropped [256]byte
	for s.input <= maxInput {
		n, err := s.conn.socket.Read(dropped[:])
		if err != nil {
			break
		}
		s.input += n
	}
	s.leave()
}

// leave is called, by any goroutine, when the client has left. Closing the
// connection ends a write that waits for it.
func (s *session) leave() {
	s.left.Store(true)
	s.conn.Close()
	s.wake()
}

// finish closes the connection and the source, and reports what became of the stream.
// The owner calls it, once, when no other goroutine can own the stream any more.
func (s *session) finish() {
	s.watcher.remove(s)
	s.conn.Close()
	go func() {
		defer s.worker.loop.running.Done()
		s.guard(s.Close)
		if s.ended == nil {
			return
		}
		s.failure = nil
		s.guard(func() {
			s.ended(sse.Outcome{Reason: sse.Reason(s.Reason), Err: s.Err, Events: s.Events, Gaps: s.Gaps, Bytes: s.Bytes})
		})
		if p, ok := errors.AsType[*sse.PanicError](s.failure); ok { // as net/http does with a handler
			log.Printf("eventloop: Options.Ended panicked: %v\n%s", p.Value, p.Stack)
		}
	}()
}
