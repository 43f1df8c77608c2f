package pubsub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/rs/zerolog"
)

// retryPause is the time between two attempts to reach Redis.
const retryPause = 200 * time.Millisecond

// connect returns a client to publish with, and one of a single connection that
// may wait for new entries. They dial when they are used.
func connect(address string, log zerolog.Logger) (client, reader *redis.Client, err error) {
	options, err := parseRedisURL(address)
	if err != nil {
		return nil, nil, err
	}
	redis.SetLogger(quiet{log})
	options.MaxRetries = -1 // an XADD whose answer was lost must not be sent again: it may be stored
	options.ContextTimeoutEnabled = true
	options.DialTimeout = publishTimeout
	options.DialerRetries = 1
	options.ReadTimeout = publishTimeout
	options.WriteTimeout = publishTimeout
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	waiting := *options
	waiting.PoolSize = 1
	waiting.ReadTimeout = readBlock + publishTimeout
	return redis.NewClient(options), redis.NewClient(&waiting), nil
}

// CheckRedisURL says what is wrong with an address for [NewRedis].
func CheckRedisURL(address string) error {
	_, err := parseRedisURL(address)
	return err
}

func parseRedisURL(address string) (*redis.Options, error) {
	options, err := redis.ParseURL(address)
	if bad, ok := errors.AsType[*url.Error](err); ok {
		err = bad.Err // without the address, which may hold a password
	}
	return options, err
}

// quiet takes what go-redis would write to stderr. What matters comes as an error.
type quiet struct{ log zerolog.Logger }

func (q quiet) Printf(_ context.Context, format string, v ...any) {
	q.log.Debug().Msgf(format, v...)
}

// isTransient reports whether waiting may help: the connection failed, or Redis
// is still reading its files.
func isTransient(err error) bool {
	if _, answered := errors.AsType[redis.Error](err); answered {
		return strings.HasPrefix(err.Error(), "LOADING")
	}
	return err != nil
}

// plain says what a reset connection or a passed deadline means.
func plain(err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer in time: %w", err)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("the connection was closed: %w", err)
	default:
		return err
	}
}

// pause waits, and reports whether ctx is still alive.
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
