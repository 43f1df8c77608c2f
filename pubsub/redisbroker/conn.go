package redisbroker

import (
	"context"
	"crypto/tls"
	"net"
	"syscall"
	"time"
)

// dialer returns the function by which go-redis connects. What it returns differs from
// go-redis's own in two ways: a read fails only if no byte comes for as long as patience,
// unless that is 0, and an idle connection that Redis has closed is recognized with TLS,
// too.
func dialer(timeout, patience time.Duration, config *tls.Config) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		dialed, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		plain := &conn{socket: dialed.(socket), patience: patience}
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

// A conn gives each read its own deadline, so that a large answer may take its time over
// a slow line while one that has stopped is noticed. go-redis has one for an answer.
type conn struct {
	socket
	patience time.Duration
	limited  bool // go-redis does not wait for ever
}

// SetReadDeadline implements [net.Conn].
func (c *conn) SetReadDeadline(t time.Time) error {
	c.limited = c.patience > 0 && !t.IsZero()
	return c.socket.SetReadDeadline(t)
}

func (c *conn) Read(p []byte) (int, error) {
	if c.limited {
		if err := c.socket.SetReadDeadline(time.Now().Add(c.patience)); err != nil {
			return 0, err
		}
	}
	return c.socket.Read(p)
}

// A tlsConn lets go-redis look at the socket below.
type tlsConn struct {
	*tls.Conn
	socket *conn
}

// SyscallConn implements [syscall.Conn].
func (c tlsConn) SyscallConn() (syscall.RawConn, error) { return c.socket.SyscallConn() }
