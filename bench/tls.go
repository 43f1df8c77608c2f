package main

import (
	"crypto/tls"
	"errors"
	"net"
	"syscall"
)

// errAgain means that nothing has arrived. crypto/tls goes on after such an error,
// because it is temporary.
var errAgain error = again{}

type again struct{}

func (again) Error() string   { return "nothing has arrived" }
func (again) Timeout() bool   { return true }
func (again) Temporary() bool { return true }

// handshake makes a TLS connection, and waits for it.
func (c *conn) handshake(protocol string) error {
	timeout := syscall.Timeval{Sec: 10}
	if err := errors.Join(syscall.SetNonblock(c.fd, false),
		syscall.SetsockoptTimeval(c.fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &timeout)); err != nil {
		return err
	}
	c.tls = tls.Client(wire{c: c}, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}})
	if err := c.tls.Handshake(); err != nil {
		return err
	}
	if got := c.tls.ConnectionState().NegotiatedProtocol; got != protocol {
		return errors.New("the server speaks " + got + ", not " + protocol)
	}
	return syscall.SetNonblock(c.fd, true)
}

// wire is what crypto/tls reads from and writes to; it needs nothing else of a net.Conn.
type wire struct {
	net.Conn
	c *conn
}

func (w wire) Read(b []byte) (int, error) { return w.c.receiveRaw(b) }

func (w wire) Write(b []byte) (int, error) {
	w.c.out = append(w.c.out, b...)
	w.c.flush()
	return len(b), nil
}
