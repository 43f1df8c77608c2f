package check

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"example.com/sse-demo/sse"
)

const (
	maxEvent     = 8 << 20                // bytes of one event
	defaultRetry = 3 * time.Second        // of a client whose stream names none
	minRetry     = 100 * time.Millisecond // keeps an endpoint that says retry: 0 from being flooded
	maxRetry     = time.Minute            // of the delay that doubles at each failed attempt
)

// follow sends a request to c and reads the stream that answers it. If returns is
// true it comes back when the stream ends, as a client does: after its retry, with
// its last id. It returns when ctx ends, or when a client gives up.
func (r *record) follow(ctx context.Context, c *client, a ask, timeout time.Duration, returns bool) {
	for failures := 0; ; {
		h, body := c.open(ctx, a, timeout)
		r.change(func(s *seen) { s.answer(h) })
		switch {
		case body != nil:
			r.read(ctx, body, h.header.Get("Content-Encoding"), a.encoding)
			failures = 0
		case h.err == nil || r.now().connections == 0:
			return
		default:
			failures++
		}
		s := r.now()
		if !returns || s.tooLong || s.unreadable || !pause(ctx, retryDelay(s.retries, failures)) {
			return
		}
		a, timeout = ask{lastID: s.lastID, encoding: a.encoding}, headTimeout
	}
}

// retryDelay is what the stream has said last, doubled at each failure.
func retryDelay(retries []time.Duration, failures int) time.Duration {
	delay := defaultRetry
	if len(retries) > 0 {
		delay = max(retries[len(retries)-1], minRetry)
	}
	for range failures {
		delay = max(delay, min(2*delay, maxRetry))
	}
	return delay
}

// pause reports whether d has passed before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// read notes what comes in a body with this Content-Encoding until it or ctx ends,
// and closes it. The accepted encoding is empty or gzip.
func (r *record) read(ctx context.Context, body io.ReadCloser, encoding, accepted string) {
	err := r.readEvents(timed{body, r}, encoding, accepted)
	r.change(func(s *seen) {
		s.tooLong = s.tooLong || errors.Is(err, sse.ErrTooLong)
		s.disconnect(time.Now(), ctx.Err() == nil && !s.tooLong)
	})
	_ = body.Close()
}

func (r *record) readEvents(body io.Reader, encoding, accepted string) error {
	in, err := r.decode(body, encoding, accepted)
	if err != nil {
		return err
	}
	reader := sse.NewReader(in)
	reader.MaxEvent = maxEvent
	reader.OnFault = func(f sse.Fault) { r.change(func(s *seen) { s.fault(f) }) }
	lastID := ""
	for err == nil {
		var event sse.Event
		event, err = reader.Next()
		r.change(func(s *seen) {
			if err == nil {
				s.event(event, reader.HasID())
			}
			if id := reader.LastEventID(); id != lastID { // a block without data may have one, too, and an empty one resets it
				s.setLastID(id)
				lastID = id
			}
		})
	}
	if retry, ok := reader.Retry(); ok {
		r.change(func(s *seen) { s.retries = append(s.retries, retry) })
	}
	return err
}

// decode returns what is in a body with this Content-Encoding. If it cannot be
// decoded, it reads it to its end.
func (r *record) decode(body io.Reader, encoding, accepted string) (io.Reader, error) {
	encoding = strings.ToLower(strings.TrimSpace(encoding))
	if encoding == "" || encoding == "identity" {
		return body, nil
	}
	if !strings.Contains(accepted, encoding) {
		r.change(func(s *seen) { s.encoding = encoding })
	}
	if isGzip(encoding) {
		return gzip.NewReader(body)
	}
	r.change(func(s *seen) { s.unreadable = true })
	_, err := io.Copy(io.Discard, body)
	if err == nil {
		err = io.EOF
	}
	return nil, err
}

func isGzip(encoding string) bool {
	encoding = strings.ToLower(strings.TrimSpace(encoding))
	return encoding == "gzip" || encoding == "x-gzip"
}

// timed notes when bytes come.
type timed struct {
	io.Reader
	record *record
}

func (t timed) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	if n > 0 {
		now := time.Now()
		t.record.change(func(s *seen) { s.bytes(now) })
	}
	return n, err
}
