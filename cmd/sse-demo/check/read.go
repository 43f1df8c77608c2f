package check

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"example.com/sse-demo/sse"
)

const (
	maxEvent     = 8 << 20                // bytes of one event
	defaultRetry = 3 * time.Second        // of a client whose stream names none
	minRetry     = 100 * time.Millisecond // keeps an endpoint with retry: 0 from being flooded
)

// start follows the stream until stop is called, ctx ends, or a client would give up,
// which ends running. It returns when the head has come, or will not.
func (r *record) start(ctx context.Context, c *client, a ask, timeout time.Duration, returns bool) (running context.Context, stop func()) {
	r.change(func(s *seen) { s.lastID = a.lastID })
	running, end := context.WithCancel(ctx)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer end()
		r.follow(running, c, a, timeout, returns)
	})
	r.await(running, func(s seen) bool { return s.sent() })
	return running, func() {
		end()
		reading.Wait()
	}
}

// follow sends a request to c and reads the stream that answers it. If returns is
// true it comes back when the stream ends, as a client does: after its retry, with
// its last id. It returns when ctx ends, or when a client gives up.
func (r *record) follow(ctx context.Context, c *client, a ask, timeout time.Duration, returns bool) {
	for {
		h, body := c.open(ctx, a, timeout)
		r.change(func(s *seen) { s.answer(h) })
		if body != nil && r.now().refused == "" { // else it ends with ctx
			r.read(ctx, body, h.encoding())
		} else if h.err == nil || !r.now().latest.sent() {
			return
		}
		s, retry := r.now(), defaultRetry
		if set := len(s.retries); set > 0 {
			retry = max(s.retries[set-1], minRetry)
		}
		if !returns || s.tooLong || !pause(ctx, retry) {
			return
		}
		a.lastID, timeout = s.lastID, headTimeout
	}
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

// read notes what comes in a body until it or ctx ends, and closes it.
func (r *record) read(ctx context.Context, body io.ReadCloser, encoding string) {
	err := r.readEvents(io.TeeReader(body, r), encoding)
	r.change(func(s *seen) {
		s.closed, s.silence = time.Now(), max(s.silence, time.Since(s.last))
		s.tooLong = s.tooLong || errors.Is(err, sse.ErrTooLong)
		if s.hasEnded = ctx.Err() == nil && !s.tooLong; s.hasEnded {
			s.ends++
			if encoding != "gzip" && err != nil && !errors.Is(err, io.EOF) { // gzip without its last bytes is an error, too
				s.breaks++
			}
		}
	})
	_ = body.Close()
}

func (r *record) readEvents(body io.Reader, encoding string) (err error) {
	switch encoding {
	case "":
	case "gzip":
		if body, err = gzip.NewReader(body); err != nil {
			if errors.Is(err, gzip.ErrHeader) {
				r.change(func(s *seen) { s.fault(sse.Fault{Kind: notGzip}) })
			}
			return err
		}
	default: // it is not decoded here
		_, err = io.Copy(io.Discard, body)
		return err
	}
	reader := sse.NewReader(body)
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
			if id := reader.LastEventID(); id != lastID && isSendable(id) { // a block without data may have one, too, and an empty one resets it
				lastID, s.lastID = id, id
			}
		})
	}
	if retry, ok := reader.Retry(); ok {
		r.change(func(s *seen) { s.retries = append(s.retries, retry) })
	}
	return err
}
