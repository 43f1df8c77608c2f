package sse

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

// pieceSize is how many bytes share one write deadline, so that a client on a
// slow line is not cut off in the middle of a large batch.
const pieceSize = 4 << 10

// A writeDeadline gives a client its time for each write.
type writeDeadline struct {
	control *http.ResponseController
	timeout time.Duration // 0 for no deadlines
	isHTTP2 bool          // a deadline that stays behind would end an idle stream
	until   time.Time     // the deadline that is set; zero for none
	backlog int64         // bytes that were written since the client last had everything
}

// extend gives the client at least its patience for the next write, and at most
// an eighth more: setting a deadline costs, so one serves many writes.
func (d *writeDeadline) extend() error {
	if d.timeout <= 0 {
		return nil
	}
	now := time.Now()
	patience := Patience(d.timeout, d.backlog)
	if d.until.Sub(now) >= patience {
		return nil
	}
	return d.set(now.Add(patience + patience/8))
}

// written is called after the last write of a batch.
func (d *writeDeadline) written() error {
	if !d.isHTTP2 || d.until.IsZero() {
		return nil
	}
	return d.set(time.Time{})
}

// set does without if the writer has no deadlines, as in tests.
func (d *writeDeadline) set(until time.Time) error {
	d.until = until
	if err := d.control.SetWriteDeadline(until); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("sse: write deadline: %w", err)
	}
	return nil
}

// cause is the error of a write, or that the deadline has passed: HTTP/2 says only
// that the stream was closed, so the clock decides.
func (d *writeDeadline) cause(err error) error {
	if !d.until.IsZero() && !time.Now().Before(d.until) {
		return os.ErrDeadlineExceeded
	}
	return err
}

// Patience is how long a client may take no bytes, for servers of streams: the
// timeout, and a second for each MiB of the backlog, up to 32. The backlog is what
// was written since the client last had everything. The kernel of a client that
// was quick at first holds what the client has yet to read, and takes no more
// before a sixteenth of its buffer is free. Without a timeout it is 0.
func Patience(timeout time.Duration, backlog int64) time.Duration {
	const perSecond, most = 1 << 20, 32 << 20
	if timeout <= 0 {
		return 0
	}
	return timeout + time.Duration(min(backlog, most))*time.Second/perSecond
}
