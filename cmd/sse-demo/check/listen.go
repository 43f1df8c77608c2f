package check

import (
	"context"
	"net/http"
	"time"
)

// listen reads the stream that has been opened, and comes back when it ends, as
// a client does: after its retry, with its last id. It returns when ctx ends, or
// when a client gives up.
func (c *client) listen(ctx context.Context, a *answer, r *record) {
	failures := 0
	for {
		_ = r.read(a, "") // however it ended, a client comes back
		for {
			s := r.now()
			if s.tooLong || s.unreadable || !pause(ctx, retryDelay(s.retries, failures)) {
				return
			}
			var err error
			if a, err = c.open(ctx, ask{lastID: s.lastID}, headTimeout); err == nil {
				break
			}
			failures++
		}
		failures = 0
		if a.StatusCode != http.StatusOK {
			if a.StatusCode != http.StatusNoContent { // which says that nothing will follow
				r.change(func(s *seen) { s.refused = status(a) })
			}
			a.close()
			return
		}
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

// awaitEnough returns when the stream was listened to for long enough: for d, and
// if it is silent then, until the silence ends or maxSilence of it has passed;
// or when ctx ends.
func (r *record) awaitEnough(ctx context.Context, d time.Duration) {
	if !pause(ctx, d) {
		return
	}
	for r.now().connections == 0 { // the head has come, and is not noted yet
		select {
		case <-r.changed:
		case <-ctx.Done():
			return
		}
	}
	for at := r.now().last; ; {
		s := r.now()
		if !s.connected || !s.last.Equal(at) {
			return
		}
		timer := time.NewTimer(maxSilence - time.Since(at))
		select {
		case <-r.changed:
		case <-timer.C:
			return
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}
