package sse

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Options say how a stream is served. The zero value is usable: no retry field,
// no heartbeat, no write deadline, no end but the source's and the client's.
type Options struct {
	Retry        time.Duration   // base of the client's reconnect delay, see [Jitter]
	Heartbeat    time.Duration   // silence after which a comment is sent
	WriteTimeout time.Duration   // a client that takes no bytes for this long is cut off
	Shutdown     <-chan struct{} // closed: the stream sends what the source still has, and ends
	Deadline     time.Time       // the stream ends then, but not before its first batch
	Once         bool            // the stream ends after its first batch, for long polling
}

// NextDue is when a stream that was last written to at this time needs a
// heartbeat or reaches its deadline; far in the future if it has neither. It is
// for servers of streams.
func (o *Options) NextDue(lastWrite time.Time) time.Time {
	due := lastWrite.Add(never)
	if o.Heartbeat > 0 {
		due = lastWrite.Add(o.Heartbeat)
	}
	if !o.Deadline.IsZero() && o.Deadline.Before(due) {
		due = o.Deadline
	}
	return due
}

const never = 100 * 365 * 24 * time.Hour

// IsShuttingDown reports whether Shutdown is closed. It is for servers of streams.
func (o *Options) IsShuttingDown() bool {
	select {
	case <-o.Shutdown:
		return true
	default:
		return false
	}
}

// Ending is why a stream ends after a batch of so many frames, with which the
// source has returned err; empty if it goes on. Ask IsShuttingDown before Next: if
// the shutdown comes after it, there may be more that came before the shutdown. It
// is for servers of streams.
func (o *Options) Ending(batch int, err error, isShuttingDown bool) Reason {
	switch {
	case errors.Is(err, io.EOF):
		return SourceDone
	case err != nil:
		return SourceFailed
	case o.Once && batch > 0:
		return SourceDone
	case !o.Deadline.IsZero() && !time.Now().Before(o.Deadline):
		return DeadlineReached
	case batch == 0 && isShuttingDown:
		return ShutdownReached
	default:
		return ""
	}
}

// A Reason is why a stream has ended.
type Reason string

// Reasons. After those of the first group the response is complete.
const (
	SourceDone      Reason = "done"     // io.EOF, Options.Once, or a HEAD request
	ShutdownReached Reason = "shutdown" // Options.Shutdown was closed
	DeadlineReached Reason = "deadline" // Options.Deadline has passed
	SourceFailed    Reason = "failed"   // the source has returned an error

	ClientGone    Reason = "client"
	ClientStalled Reason = "stalled" // it took no bytes for Options.WriteTimeout
)

// Counts are what a stream has sent.
type Counts struct {
	Events int   // gaps included
	Gaps   int   // of them
	Bytes  int64 // without the framing of HTTP
}

// Count adds frames that were sent, each of which is an event. It is for servers of
// streams.
func (c *Counts) Count(frames [][]byte) {
	c.Events += len(frames)
	for _, frame := range frames {
		c.Bytes += int64(len(frame))
		if IsGap(frame) {
			c.Gaps++
		}
	}
}

// An Outcome is what became of a stream.
type Outcome struct {
	Reason Reason
	Err    error // of the write or of the source, if one has failed
	Counts
}

// ClientFailed sets the reason from the error of a write. It is for servers of
// streams.
func (o *Outcome) ClientFailed(err error) {
	o.Reason, o.Err = ClientGone, err
	if errors.Is(err, os.ErrDeadlineExceeded) {
		o.Reason = ClientStalled
	}
}

// A PanicError is the error of a source that has panicked, from a server that
// goes on with its other streams. [Serve] leaves panics to net/http.
type PanicError struct {
	Value any
	Stack []byte // for the operator's log, never for a client
}

func (e *PanicError) Error() string { return fmt.Sprintf("the source panicked: %v", e.Value) }
