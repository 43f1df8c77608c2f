package redisbroker

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// probesToFail is how many probes in a row must fail, unless Redis itself refuses:
// a single connection may be cut at any time.
const probesToFail = 2

// A health knows whether events can be published and read. It turns bad soon, and good
// again only after some time without any failure, so that it does not flap while Redis
// refuses some commands and not others.
type health struct {
	timing timing
	log    *slog.Logger
	hurry  chan struct{} // a probe is wanted now

	mu          sync.Mutex
	err         error
	failures    int       // probes in a row
	lastFailure time.Time // of anything
	reading     error     // why the last read failed
	since       time.Time // reads fail since then
}

func newHealth(t timing, log *slog.Logger) *health {
	return &health{timing: t, log: log, hurry: make(chan struct{}, 1)}
}

// watch probes until ctx ends. A probe may take as long as a publish, so that it does
// not fail while publishing succeeds.
func (h *health) watch(ctx context.Context, probe func(context.Context) error) {
	for ctx.Err() == nil {
		limited, cancel := context.WithTimeout(ctx, h.timing.publish)
		err := probe(limited)
		cancel()
		if ctx.Err() != nil {
			return
		}
		h.probed(err)
		wait := h.timing.probe
		if err != nil {
			wait = h.timing.retry
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-h.hurry:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

func (h *health) probed(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil && h.reading != nil && time.Since(h.since) > h.timing.failing {
		h.failed(h.reading)
		return
	}
	if err == nil {
		h.failures = 0
		if h.err != nil && time.Since(h.lastFailure) >= h.timing.recover {
			h.err = nil
			h.log.Info("Redis is back")
		}
		return
	}
	h.failures++
	if h.failures >= probesToFail || h.err != nil || isRefusal(err) {
		h.failed(err)
	}
}

// failed needs the lock.
func (h *health) failed(err error) {
	h.lastFailure = time.Now()
	if h.err == nil {
		h.log.Error("Redis cannot be used; streams stay open, publishing is refused until it is back", "error", plain(err))
	}
	h.err = err
}

// published notes that a publish has failed.
func (h *health) published(err error) {
	if isRefusal(err) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.failed(err)
		return
	}
	select {
	case h.hurry <- struct{}{}:
	default: // it is wanted already
	}
}

// read notes how a read of the stream has ended.
func (h *health) read(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil && h.reading == nil {
		h.since = time.Now()
	}
	h.reading = err
}

func (h *health) get() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}
