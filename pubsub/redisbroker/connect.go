package redisbroker

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// CheckURL returns what is wrong with a URL for [New]. It is one of
//
//	redis://user:password@host:6379/0
//	rediss://user:password@host:6379/0    with TLS
//	unix://user:password@/run/redis.sock?db=0
//	redis://host:26379/0?master_name=NAME&addr=host2:26379    Sentinels
//
// User and password of a Sentinel URL are for the Sentinels; for the master there are
// the parameters username and password. With TLS skip_verify=true accepts any
// certificate, and client_name and pool_size are possible, too. Other parameters of
// go-redis have no effect. The Redis of a URL without master_name may be a node of a
// cluster. No error contains a password.
func CheckURL(rawURL string) error {
	_, err := parseURL(rawURL)
	return err
}

func parseURL(rawURL string) (o redis.UniversalOptions, err error) {
	u, err := url.Parse(rawURL)
	if bad, ok := errors.AsType[*url.Error](err); ok {
		err = bad.Err // without the URL, which may hold a password
	}
	switch {
	case err != nil:
		return o, err
	case u.Scheme != "redis" && u.Scheme != "rediss" && u.Scheme != "unix":
		return o, fmt.Errorf("the scheme is %q; it must be redis, rediss or unix", u.Scheme)
	case u.Opaque != "" || u.Fragment != "":
		return o, errors.New("it must continue with // and have no #")
	case u.Scheme == "unix" && (u.Host != "" || u.Path == ""):
		return o, errors.New("a socket is like unix:///run/redis.sock")
	}
	if u.Query().Has("master_name") {
		var f *redis.FailoverOptions
		if f, err = redis.ParseFailoverURL(rawURL); err == nil {
			o = redis.UniversalOptions{
				Addrs: f.SentinelAddrs, MasterName: f.MasterName, SentinelUsername: f.SentinelUsername, SentinelPassword: f.SentinelPassword,
				Username: f.Username, Password: f.Password, DB: f.DB, TLSConfig: f.TLSConfig, ClientName: f.ClientName, PoolSize: f.PoolSize,
			}
			if o.MasterName == "" {
				err = errors.New("master_name is empty")
			}
		}
	} else {
		var s *redis.Options
		if s, err = redis.ParseURL(rawURL); err == nil {
			o = redis.UniversalOptions{
				Addrs: []string{s.Addr}, Username: s.Username, Password: s.Password, DB: s.DB, TLSConfig: s.TLSConfig, ClientName: s.ClientName, PoolSize: s.PoolSize,
			}
		}
	}
	switch {
	case err != nil:
		return o, errors.New(strings.TrimPrefix(err.Error(), "redis: "))
	case o.DB < 0:
		return o, fmt.Errorf("the database is %d; it must be 0 or above", o.DB)
	}
	return o, nil
}

// address returns the address of Redis, for messages.
func address(o redis.UniversalOptions) string {
	if o.MasterName == "" {
		return o.Addrs[0]
	}
	return fmt.Sprintf("%s (master of the Sentinels %s)", o.MasterName, strings.Join(o.Addrs, ", "))
}

const (
	// maxConnections is how many publishers of a process may wait for Redis at
	// once; others wait for them.
	maxConnections = 32
	// maxIdle is how long a connection may be idle: less than firewalls wait before
	// they forget it without a word.
	maxIdle = time.Minute
)

// newClient returns a client of a single Redis, of the master that Sentinels name, or of
// a cluster. It never repeats a command that may have been carried out, see once.
// timeout and silence are as in dialer. connected is called for each new connection.
func newClient(o redis.UniversalOptions, timeout, silence time.Duration, connected func()) redis.UniversalClient {
	o.Protocol = 2 // no messages but answers, so an idle connection with something to read is one that was closed
	o.Dialer, o.TLSConfig = dialer(timeout, silence, o.TLSConfig), nil
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = timeout, timeout, timeout, timeout
	o.MaxRetries, o.DialerRetries, o.ContextTimeoutEnabled = -1, 1, true
	o.PoolSize, o.PipelinePoolSize, o.ConnMaxIdleTime = cmp.Or(o.PoolSize, maxConnections), -1, maxIdle
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	o.OnConnect = func(context.Context, *redis.Conn) error { connected(); return nil }
	if !o.IsClusterMode {
		return redis.NewUniversalClient(&o)
	}
	cluster := o.Cluster()
	cluster.DisableRoutingPolicies = true // they would need the command COMMAND
	return redis.NewClusterClient(cluster)
}

// relocate makes the client of a cluster look where the stream is now: after a failure at
// once, because the next attempt at a node that hangs may take seconds.
func relocate(ctx context.Context, client redis.UniversalClient) {
	if cluster, ok := client.(*redis.ClusterClient); ok {
		cluster.ReloadState(ctx)
	}
}

// dialer returns the function by which go-redis connects. What it returns differs from
// go-redis's own in two ways. Unless silence is 0, every answer has to begin within timeout,
// and one that has begun fails only if no byte comes for as long as silence. An idle
// connection that Redis has closed is recognized with TLS, too.
func dialer(timeout, silence time.Duration, config *tls.Config) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		dialed, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		plain := &conn{socket: dialed.(socket), timeout: timeout, silence: silence}
		if config == nil {
			return plain, nil
		}
		secure := tls.Client(plain, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = plain.Close()
			return nil, err
		}
		return tlsConn{secure, plain}, nil
	}
}

// go-redis looks at the syscall.Conn before it uses an idle connection. Anything to be
// read there, while no answer is due, is the end of the connection.
type socket interface {
	net.Conn
	syscall.Conn
}

// A conn moves the deadline of an answer with every byte that comes, so that a large one may
// take its time over a slow line while one that has stopped is noticed. go-redis has one
// deadline for all of it, and allows a command that waits ten seconds more, so that a node
// that hangs would keep it for as long.
type conn struct {
	socket
	timeout time.Duration // until the first byte
	silence time.Duration // until the next one
	limited bool          // go-redis does not wait for ever
}

// SetReadDeadline implements [net.Conn].
func (c *conn) SetReadDeadline(t time.Time) error {
	c.limited = c.silence > 0 && !t.IsZero()
	if begin := time.Now().Add(c.timeout); c.limited && begin.Before(t) {
		t = begin
	}
	return c.socket.SetReadDeadline(t)
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.socket.Read(p)
	if n > 0 && c.limited {
		_ = c.socket.SetReadDeadline(time.Now().Add(c.silence)) // the next read fails if this does
	}
	return n, err
}

// A tlsConn lets go-redis look at the socket below.
type tlsConn struct {
	*tls.Conn
	socket *conn
}

// SyscallConn implements [syscall.Conn].
func (c tlsConn) SyscallConn() (syscall.RawConn, error) { return c.socket.SyscallConn() }
