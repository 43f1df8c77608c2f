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
	guard   *writeGuard   // of HTTP/2; nil for HTTP/1, where the deadline is the connection's
	until   time.Time     // the deadline; zero before the first
	backlog Backlog
	counted int64 // bytes of the stream that are in the backlog
}

func newWriteDeadline(control *http.ResponseController, timeout time.Duration, isHTTP2 bool) writeDeadline {
	d := writeDeadline{control: control, timeout: timeout}
	if isHTTP2 && timeout > 0 {
		d.guard = &writeGuard{cut: func() { _ = control.SetWriteDeadline(time.Unix(1, 0)) }}
	}
	return d
}

// begin gives the client at least its patience for the next write, and at most an
// eighth of the timeout more: setting a deadline costs, so one serves many writes.
// written is how many bytes of the stream were written before.
func (d *writeDeadline) begin(written int64) error {
	if d.timeout <= 0 {
		return nil
	}
	now := time.Now()
	d.backlog.Add(int(written-d.counted), now, d.timeout)
	d.counted = written
	patience := d.backlog.Patience(now, d.timeout)
	isExtended := d.until.Sub(now) < patience
	if isExtended {
		d.until = now.Add(patience + d.timeout/8)
	}
	if d.guard != nil {
		d.guard.begin(d.until)
		return nil
	}
	if !isExtended {
		return nil
	}
	err := d.control.SetWriteDeadline(d.until)
	if err != nil && !errors.Is(err, http.ErrNotSupported) { // as the writers of tests
		return fmt.Errorf("sse: write deadline: %w", err)
	}
	return nil
}

// end is called after the last write of a batch, whatever has become of it.
func (d *writeDeadline) end() {
	if d.guard != nil {
		d.guard.end()
	}
}

// finish is called after the last batch.
func (d *writeDeadline) finish() {
	if d.guard != nil {
		d.guard.stop()
		return
	}
	_ = d.begin(d.counted) // for the final chunk, which net/http writes
}

// cause is the error of a write, or that the deadline has passed: HTTP/2 says only
// that the stream was closed, so the clock decides.
func (d *writeDeadline) cause(err error) error {
	if !d.until.IsZero() && !time.Now().Before(d.until) {
		return os.ErrDeadlineExceeded
	}
	return err
}

// slowestRate is the rate at which a client is taken to read its backlog, in bytes
// a second.
const slowestRate = 64 << 10

// MaxPatience is how many write timeouts long a client may take no bytes, at the
// most.
const MaxPatience = 11

// A Backlog is the time in which a client that reads 64 KiB a second has read all
// that was written to it. Until then it may take nothing: what a write hands over
// waits in buffers of the client's kernel, of proxies and of the client itself,
// some of which take 10 MiB at once, and then nothing until all of it is read. It
// is for servers of streams.
type Backlog struct{ until time.Time }

// Add notes that n bytes are written now.
func (b *Backlog) Add(n int, now time.Time, timeout time.Duration) {
	if b.until.Before(now) {
		b.until = now
	}
	b.until = b.until.Add(time.Duration(n) * time.Second / slowestRate)
	if most := now.Add((MaxPatience - 1) * timeout); b.until.After(most) {
		b.until = most
	}
}

// Patience is how long the client may take no bytes from now on: the timeout, and
// the time for its backlog. Without a timeout it is 0.
func (b *Backlog) Patience(now time.Time, timeout time.Duration) time.Duration {
	if timeout <= 0 {
		return 0
	}
	return timeout + max(b.until.Sub(now), 0)
}
