package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// tolerated is how long connections may fail: any may be cut at any time.
const tolerated = 500 * time.Millisecond

// A health is what Err returns. It turns bad soon: if Redis refuses, or if connections
// fail for longer than tolerated. It turns good again only after some time without any
// failure, so that it does not flap while Redis refuses some commands and not others.
type health struct {
	mu          sync.Mutex
	err         error
	first, last time.Time // failure since the last success; first is zero if there was none
}

// Err returns why events cannot be published at present; nil if they can.
func (s *stream) Err() error {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	return s.health.err
}

// note takes the result of a probe, or another failure.
func (s *stream) note(err error) {
	h := &s.health
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if err == nil {
		h.first = time.Time{}
		if h.err != nil && now.Sub(h.last) >= s.options.timing.recover {
			h.err = nil
			s.options.Logger.Info("Redis is back")
		}
		return
	}
	h.last = now
	if h.first.IsZero() {
		h.first = now
	}
	if h.err == nil {
		if !isRefusal(err) && now.Sub(h.first) < tolerated {
			return
		}
		s.options.Logger.Error("Redis cannot be used; streams stay open, publishing is refused until it is back", "error", plain(err))
	}
	h.err = err
}

// watch probes until ctx ends. A probe may take as long as a publish, so that it does
// not fail while publishing succeeds.
func (s *stream) watch(ctx context.Context) {
	for wait := time.Duration(0); pause(ctx, wait); {
		limited, cancel := context.WithTimeout(ctx, s.options.timing.publish)
		err := s.probe(limited)
		cancel()
		if ctx.Err() != nil {
			return
		}
		s.note(err)
		wait = s.options.timing.probe
		if err != nil {
			relocate(ctx, s.commands)
			wait = retryInterval
		}
	}
}

// probe returns nil if a publish would succeed at present: an event can be stored, and
// this process reads in time what is stored.
func (s *stream) probe(ctx context.Context) error {
	newest, err := s.run(ctx, s.commands, checkScript, "")
	if err == nil {
		_, _, err = s.arrivals.await(ctx, newest)
	}
	return err
}

// isRefusal reports whether err is an answer of Redis: it is there and refuses.
func isRefusal(err error) bool {
	_, ok := errors.AsType[redis.Error](err)
	return ok
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
