package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

// tolerated is how long attempts may fail because of a connection: any may be cut at any time.
const tolerated = 500 * time.Millisecond

// A health is what Err returns. It turns bad soon: if Redis refuses, or if connections
// fail for longer than tolerated. It turns good again only after some time without any
// failure, so that it does not flap while Redis refuses some commands and not others.
type health struct {
	recover time.Duration // without any failure, before it is good again
	log     *slog.Logger

	mu          sync.Mutex
	err         error
	first, last time.Time // failure after the last success; first is zero if there was none
}

// note takes the result of a probe, or another failure.
func (h *health) note(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if err == nil {
		h.first = time.Time{}
		if h.err != nil && now.Sub(h.last) >= h.recover {
			h.err = nil
			h.log.Info("Redis is back")
		}
		return
	}
	h.last = now
	if h.first.IsZero() {
		h.first = now
	}
	if h.err == nil && !isRefusal(err) && now.Sub(h.first) < tolerated {
		return
	}
	if h.err == nil {
		h.log.Error("Redis cannot be used; streams stay open, publishing is refused until it is back", "error", plain(err))
	}
	h.err = err
}

func (h *health) get() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// plain explains a closed connection or a passed deadline.
func plain(err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no answer in time: %w", err)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("the connection was closed: %w", err)
	default:
		return err
	}
}
