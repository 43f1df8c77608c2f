package sse

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"example.com/sse-demo/sse/internal/stream"
)

// Options say how a stream is served. The zero value is usable: no retry field, no
// heartbeat, no write deadline, no end but the source's and the client's.
type Options struct {
	Retry        time.Duration   // base of the client's reconnect delay, see [Jitter]
	Heartbeat    time.Duration   // silence after which a comment is sent
	WriteTimeout time.Duration   // a client that takes no bytes for this long is cut off
	Shutdown     <-chan struct{} // if closed, the stream sends what its source still has, and ends
	Deadline     time.Time       // the stream ends then, but not before its first batch

	// PollUntil, if not zero, makes the stream a long poll. It ends when it has sent
	// what was there when the source was opened, if that was anything; or else with
	// the first events that come; or at this time. See [Source] for Behind.
	PollUntil time.Time

	// Sent, if not nil, is called with what the client has taken since the last call:
	// events, the gaps among them, and bytes without the framing of HTTP. Bytes
	// include comments and the retry field. It must not wait, as Source.Next.
	Sent func(events, gaps int, bytes int64)

	// Ended, if not nil, is called once, when the stream has ended and its source is
	// closed; not if Serve returns an error.
	Ended func(Outcome)
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

// An Outcome is what became of a stream.
type Outcome struct {
	Reason Reason
	Err    error // of the source or of a write, if one has failed
	Events int   // that the client has taken, gaps included
	Gaps   int
	Bytes  int64 // with comments and the retry field, without the framing of HTTP
}

// A Reason is why a stream has ended.
type Reason string

// Why a stream has ended. After a reason of the first group the response is complete.
const (
	SourceDone      Reason = stream.SourceDone      // "done": io.EOF, the end of a long poll, or a HEAD request
	ShutdownReached Reason = stream.ShutdownReached // "shutdown": Options.Shutdown was closed
	DeadlineReached Reason = stream.DeadlineReached // "deadline": Options.Deadline has passed, or the request's context has timed out
	SourceFailed    Reason = stream.SourceFailed    // "failed": the source has returned an error, or panicked

	ClientGone    Reason = stream.ClientGone    // "client"
	ClientStalled Reason = stream.ClientStalled // "stalled": it took no bytes for Options.WriteTimeout
)

// MaxPatience is the longest stall that is allowed, in write timeouts: ten for earlier
// data, and one. See Slow clients above.
const MaxPatience = stream.MaxPatience

// A PanicError is the error of a source that has panicked, from a server that goes on
// with its other streams. [Serve] leaves panics to net/http.
type PanicError struct {
	Value any
	Stack []byte // for the operator's log, never for a client
}

func (e *PanicError) Error() string { return fmt.Sprintf("the source panicked: %v", e.Value) }
