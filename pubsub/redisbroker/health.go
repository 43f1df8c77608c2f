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

// A health is what Err returns. It turns bad soon: if Redis refuses, or if the same thing
// fails twice in a row, because a single connection may be cut at any time. It turns good
// again only after some time without any failure, so that it does not flap while Redis
// refuses some commands and not others.
type health struct {
	recover time.Duration // without any failure, before it is good again
	log     *slog.Logger

	mu       sync.Mutex
	err      error
	last     time.Time      // of a failure
	failures map[string]int // in a row, of what fails at present
}

// note takes the result of an attempt at what, "" for one whose successes are not noted.
func (h *health) note(what string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		delete(h.failures, what)
		if h.err != nil && len(h.failures) == 0 && time.Since(h.last) >= h.recover {
			h.err = nil
			h.log.Info("Redis is back")
		}
		return
	}
	h.last = time.Now()
	if what != "" {
		h.failures[what]++
	}
	if h.err == nil {
		if h.failures[what] < 2 && !isRefusal(err) {
			return
		}
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
