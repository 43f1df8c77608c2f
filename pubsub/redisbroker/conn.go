package redisbroker

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"syscall"
	"time"
)

// dialer returns the function by which go-redis connects. What it returns differs
// from go-redis's own in two ways: any byte that comes extends a read's deadline,
// and an idle connection that Redis has closed is recognized with TLS, too.
func dialer(timeout time.Duration, config *tls.Config) func(ctx context.Context, network, address string) (net.Conn, error) {
	dial := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		socket, err := dial.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		plain := &conn{Conn: socket}
		if config == nil {
			return plain, nil
		}
		secure := tls.Client(plain, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = socket.Close()
			return nil, err
		}
		return tlsConn{secure, plain}, nil
	}
}

// A conn gives a read more time whenever a byte comes, so that a large answer may
// take its time over a slow line while one that has stopped is noticed.
type conn struct {
	net.Conn
	patience time.Duration // 0 for any
}

// SetReadDeadline implements [net.Conn].
func (c *conn) SetReadDeadline(t time.Time) error {
	c.patience = 0
	if !t.IsZero() {
		c.patience = max(time.Until(t), 1)
	}
	return c.Conn.SetReadDeadline(t)
}

// SetDeadline implements [net.Conn].
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && err == nil && c.patience > 0 {
		err = c.Conn.SetReadDeadline(time.Now().Add(c.patience))
	}
	return n, err
}

// SyscallConn implements [syscall.Conn], by which go-redis looks at the socket before it
// uses an idle connection. Anything to be read there, while no answer is due, is the end of
// the connection.
func (c *conn) SyscallConn() (syscall.RawConn, error) { return c.Conn.(syscall.Conn).SyscallConn() }

// A tlsConn lets go-redis look at the socket below.
type tlsConn struct {
	*tls.Conn
	socket *conn
}

// SyscallConn implements [syscall.Conn].
func (c tlsConn) SyscallConn() (syscall.RawConn, error) { return c.socket.SyscallConn() }
