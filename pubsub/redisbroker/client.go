package redisbroker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	// maxConnections is how many publishers of a process may wait for Redis at
	// once; others wait for them.
	maxConnections = 32
	// maxIdle is how long a connection may be idle: less than firewalls wait before
	// they forget it without a word.
	maxIdle = time.Minute
)

// An endpoint is where a Redis is: one of the two, as go-redis has parsed it.
type endpoint struct {
	address string // for messages
	single  *redis.Options
	master  *redis.FailoverOptions // named by Sentinels
}

// CheckURL says what is wrong with a URL for [New]. It is one of
//
//	redis://user:password@host:6379/0
//	rediss://user:password@host:6379/0    with TLS
//	unix://user:password@/run/redis.sock?db=0
//	redis://host:26379/0?master_name=NAME&addr=host2:26379    Sentinels
//
// User and password of a Sentinel URL are those of the Sentinels; the master's are
// the parameters username and password. Further parameters are those of go-redis.
// No error contains a password.
func CheckURL(rawURL string) error {
	_, err := parseURL(rawURL)
	return err
}

func parseURL(rawURL string) (endpoint, error) {
	u, err := url.Parse(rawURL)
	if bad, ok := errors.AsType[*url.Error](err); ok {
		err = bad.Err // without the URL, which may hold a password
	}
	switch {
	case err != nil:
		return endpoint{}, err
	case u.Scheme != "redis" && u.Scheme != "rediss" && u.Scheme != "unix":
		return endpoint{}, fmt.Errorf("the scheme is %q; it must be redis, rediss or unix", u.Scheme)
	case u.Opaque != "" || u.Fragment != "":
		return endpoint{}, errors.New("it must continue with // and have no #")
	case u.Scheme == "unix" && (u.Host != "" || u.Path == ""):
		return endpoint{}, errors.New("a socket is like unix:///run/redis.sock")
	}
	if u.Query().Has("master_name") {
		master, err := redis.ParseFailoverURL(rawURL)
		if err != nil {
			return endpoint{}, plainURLError(err)
		}
		if master.MasterName == "" {
			return endpoint{}, errors.New("master_name is empty")
		}
		address := fmt.Sprintf("%s (master of the Sentinels %s)", master.MasterName, strings.Join(master.SentinelAddrs, ", "))
		return endpoint{address: address, master: master}, checkDB(master.DB)
	}
	single, err := redis.ParseURL(rawURL)
	if err != nil {
		return endpoint{}, plainURLError(err)
	}
	return endpoint{address: single.Addr, single: single}, checkDB(single.DB)
}

func plainURLError(err error) error {
	return errors.New(strings.TrimPrefix(err.Error(), "redis: "))
}

func checkDB(db int) error {
	if db < 0 {
		return fmt.Errorf("the database is %d; it must be 0 or above", db)
	}
	return nil
}

// newClient returns a client that never repeats a command: one whose answer was
// lost may have been carried out. readTimeout is how long no byte may come.
// connected is called for each new connection.
func (e endpoint) newClient(readTimeout, timeout time.Duration, connected func()) *redis.Client {
	onConnect := func(context.Context, *redis.Conn) error { connected(); return nil }
	if e.master != nil {
		o := *e.master
		o.Protocol = 2 // no messages but answers, so an idle connection with something to read is one that was closed
		o.Dialer, o.TLSConfig = dialer(timeout, o.TLSConfig), nil
		o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = timeout, readTimeout, timeout, timeout
		o.MaxRetries, o.DialerRetries, o.ContextTimeoutEnabled = -1, 1, true
		o.PoolSize, o.PipelinePoolSize, o.ConnMaxIdleTime = cmp.Or(o.PoolSize, maxConnections), -1, maxIdle
		o.DisableIdentity, o.OnConnect = true, onConnect
		return redis.NewFailoverClient(&o)
	}
	o := *e.single
	o.Protocol = 2
	o.Dialer, o.TLSConfig = dialer(timeout, o.TLSConfig), nil
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = timeout, readTimeout, timeout, timeout
	o.MaxRetries, o.DialerRetries, o.ContextTimeoutEnabled = -1, 1, true
	o.PoolSize, o.PipelinePoolSize, o.ConnMaxIdleTime = cmp.Or(o.PoolSize, maxConnections), -1, maxIdle
	o.DisableIdentity, o.OnConnect = true, onConnect
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return redis.NewClient(&o)
}
