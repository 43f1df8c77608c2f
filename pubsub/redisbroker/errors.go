package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// unsupported is what is wrong with a Redis that cannot be used.
type unsupported string

func (u unsupported) Error() string { return string(u) }

// isTransient reports whether waiting may help: the connection failed, or Redis
// refuses for a reason that passes.
func isTransient(err error) bool {
	if _, ok := errors.AsType[unsupported](err); ok {
		return false
	}
	refusal, ok := errors.AsType[redis.Error](err)
	if !ok {
		return err != nil
	}
	code, _, _ := strings.Cut(refusal.Error(), " ")
	return slices.Contains([]string{"LOADING", "READONLY", "MASTERDOWN", "OOM", "MISCONF", "NOREPLICAS", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK"}, code)
}

// isRefusal reports whether err is an answer of Redis: it is there and refuses.
func isRefusal(err error) bool {
	_, ok := errors.AsType[redis.Error](err)
	return ok
}

// plain explains a reset connection or a passed deadline.
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
