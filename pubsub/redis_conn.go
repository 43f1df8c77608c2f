package pubsub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gomodule/redigo/redis"
)

const (
	// maxConnections is how many publishers of this process may wait for Redis at
	// once; others wait for them.
	maxConnections = 32
	// maxIdle is how long a connection may lie idle: less than firewalls wait
	// before they forget it in silence.
	maxIdle = time.Minute
	// retryPause is the time between two attempts to reach Redis.
	retryPause = 200 * time.Millisecond
)

// CheckRedisURL says what is wrong with an address for [NewRedis].
func CheckRedisURL(address string) error {
	_, err := parseRedisURL(address)
	return err
}

// An endpoint is where a Redis is, and how to log in to it.
type endpoint struct {
	network, address string
	options          []redis.DialOption
}

func parseRedisURL(address string) (endpoint, error) {
	u, err := url.Parse(address)
	if bad, ok := errors.AsType[*url.Error](err); ok {
		err = bad.Err // without the address, which may hold a password
	}
	if err != nil {
		return endpoint{}, err
	}
	e := endpoint{network: "tcp", address: net.JoinHostPort(cmp.Or(u.Hostname(), "localhost"), cmp.Or(u.Port(), "6379"))}
	query := u.Query()
	database := cmp.Or(strings.TrimPrefix(u.Path, "/"), query.Get("db"), "0")
	switch u.Scheme {
	case "redis":
	case "rediss":
		e.options = append(e.options, redis.DialUseTLS(true))
	case "unix":
		if u.Host != "" || u.Path == "" {
			return endpoint{}, errors.New("a socket is like unix:///run/redis.sock")
		}
		e.network, e.address, database = "unix", u.Path, cmp.Or(query.Get("db"), "0")
	default:
		return endpoint{}, fmt.Errorf("the scheme is %q, where redis, rediss and unix are known", u.Scheme)
	}
	query.Del("db")
	if u.Opaque != "" || u.Fragment != "" || len(query) > 0 {
		return endpoint{}, errors.New("there is more in it than a user, a host, a port and a database")
	}
	number, err := strconv.ParseUint(database, 10, 31)
	if err != nil {
		return endpoint{}, fmt.Errorf("the database is %q, which is no number", database)
	}
	password, _ := u.User.Password()
	e.options = append(e.options,
		redis.DialUsername(u.User.Username()), redis.DialPassword(password), redis.DialDatabase(int(number)),
		redis.DialReadTimeout(readBlock+publishTimeout), redis.DialWriteTimeout(publishTimeout))
	return e, nil
}

// A connection is one of redigo, and the socket below it.
type connection struct {
	redis.ConnWithContext
	socket net.Conn
}

// dial returns a connection on which commands may be given.
func (e endpoint) dial(ctx context.Context) (redis.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	var socket net.Conn
	keep := redis.DialContextFunc(func(ctx context.Context, network, address string) (_ net.Conn, err error) {
		socket, err = dialInTime(ctx, network, address)
		return socket, err
	})
	conn, err := redis.DialContext(ctx, e.network, e.address, append(slices.Clip(e.options), keep)...)
	if err != nil {
		return nil, err
	}
	return connection{conn.(redis.ConnWithContext), socket}, nil
}

// dialInTime gives the socket the deadline of ctx, for a TLS handshake that is
// not told of ctx. Each command then sets one of its own.
func dialInTime(ctx context.Context, network, address string) (net.Conn, error) {
	socket, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		err = socket.SetDeadline(deadline)
	}
	return socket, err
}

// newPool returns the connections that publishers share. Those that Redis has
// closed meanwhile are not used: an event that was sent over one would have to
// be refused, though Redis is there.
func (e endpoint) newPool() *redis.Pool {
	return &redis.Pool{
		DialContext: e.dial,
		TestOnBorrow: func(conn redis.Conn, _ time.Time) error {
			if isClosed(conn.(connection).socket) {
				return io.EOF
			}
			return nil
		},
		MaxActive: maxConnections, MaxIdle: maxConnections, Wait: true, IdleTimeout: maxIdle,
	}
}

// do gives a command over one of the shared connections, once: a command whose
// answer was lost may have been carried out.
func (r *Redis) do(ctx context.Context, command string, args ...any) (any, error) {
	conn, err := r.pool.GetContext(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }() // gives it back
	return redis.DoContext(conn, ctx, command, args...)
}

// isTransient reports whether waiting may help: the connection failed, or Redis
// is still reading its files.
func isTransient(err error) bool {
	if answer, ok := errors.AsType[redis.Error](err); ok {
		return strings.HasPrefix(answer.Error(), "LOADING")
	}
	return err != nil
}

// plain says what a reset connection or a passed deadline means.
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
