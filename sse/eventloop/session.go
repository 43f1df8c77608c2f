package eventloop

import (
	"context"
	"log"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/internal/stream"
)

// A session is one client on one source. Its owner, the goroutine that serves it
// at present, uses everything but input, left and state.
type session struct {
	stream.Stream
	id      uint64
	worker  *worker
	index   int // on the worker's clock
	conn    conn
	ended   func(sse.Outcome) // may be nil
	failure *sse.PanicError   // of a source that has panicked

	input int         // bytes that the client has sent after its request, for the goroutine that reads them
	left  atomic.Bool // the client has left, or the loop was closed
	state state       // guarded by worker.mu
}

func newSession(c conn, source sse.Source, o sse.Options) *session {
	s := &session{conn: c, ended: o.Ended, index: offClock}
	s.Stream = stream.Stream{
		Source: source, Heartbeat: o.Heartbeat, WriteTimeout: o.WriteTimeout, Shutdown: o.Shutdown,
		Deadline: o.Deadline, PollUntil: o.PollUntil, Sent: o.Sent,
	}
	s.Begin()
	return s
}

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
func (s *session) begin(client context.Context) {
	b := buffers.Get().(*buffer)
	b.now = time.Now()
	isFull := s.step(b)
	buffers.Put(b)
	if s.Reason == "" {
		s.guard(func() { s.Notify(s.wake) })
		if client.Err() != nil || !s.worker.loop.watch(s) { // net/http may have read the end of TLS
			s.worker.loop.open.Go(s.waitClosed)
		}
	}
	if isFull {
		go s.writeRest()
		return
	}
	s.handOver()
}

// batchesPerStep bounds how many batches of one source are written before other
// streams get their step.
const batchesPerStep = 8

// guard calls what belongs to the source.
func (s *session) guard(call func()) {
	defer s.catch()
	call()
}

// catch is deferred: if the source panics, the next step ends the stream.
func (s *session) catch() {
	if p := recover(); p != nil {
		s.failure = &sse.PanicError{Value: p, Stack: debug.Stack()}
		s.wake()
	}
}

// step sends what the source has, and the end of the response if the stream ends. It
// returns true if the socket did not take all of it: writeRest has to go on.
func (s *session) step(b *buffer) (isFull bool) {
	defer s.catch()
	for range batchesPerStep {
		if s.Reason == "" && s.left.Load() {
			s.Reason = stream.ClientGone
		}
		if s.Reason != "" {
			return false
		}
		frames := s.next(b)
		if len(frames) == 0 && s.Reason == "" && s.conn.head == nil {
			return false
		}
		isFull, err := s.conn.tryWrite(b, frames, s.Reason != "")
		clear(frames) // an idle stream holds no events
		b.frames = frames
		if err != nil {
			s.ClientFailed(err)
		}
		if isFull || err != nil {
			return isFull
		}
		s.Taken(b.now)
	}
	s.wake() // there may be more
	return false
}

// next asks the source for a batch.
func (s *session) next(b *buffer) [][]byte {
	if s.failure != nil {
		s.Reason, s.Err = stream.SourceFailed, s.failure
		return nil
	}
	return s.Next(b.frames[:0], b.now)
}

// writeRest writes what the socket did not take, and returns the stream to its worker.
// It has a goroutine, because it waits for the client.
func (s *session) writeRest() {
	if err := s.conn.flush(&s.Stream); err != nil {
		s.ClientFailed(err)
	} else {
		s.guard(func() { s.Taken(time.Now()) })
	}
	s.handOver()
}

// maxInput is how many bytes a client may send after its request. They are
// dropped; a client that sends more is cut off.
const maxInput = 64 << 10

// waitClosed waits until the client leaves, which it may say in TLS without closing the
// connection, or the connection is closed here.
func (s *session) waitClosed() {
	in := s.conn.socket
	if s.conn.sealer != nil {
		in = s.conn.sealer.conn
	}
	var dropped [256]byte
	for s.input <= maxInput {
		n, err := in.Read(dropped[:])
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
// The source and the report may block.
func (s *session) finish() {
	loop := s.worker.loop
	loop.remove(s)
	s.conn.Close()
	go func() {
		defer loop.open.Done()
		s.guard(s.Close)
		if s.ended == nil {
			return
		}
		s.failure = nil
		s.guard(func() {
			s.ended(sse.Outcome{Reason: sse.Reason(s.Reason), Err: s.Err, Events: s.Events, Gaps: s.Gaps, Bytes: s.Bytes})
		})
		if p := s.failure; p != nil { // as net/http does with a handler
			log.Printf("eventloop: Options.Ended panicked: %v\n%s", p.Value, p.Stack)
		}
	}()
}
