package ssetest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
)

// A Network connects clients and servers of one test in memory, without buffers:
// what a client does not read, its server cannot write. In a bubble of
// testing/synctest time passes while they wait for each other. It is the
// [net.Listener] of the server.
type Network struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// NewNetwork returns a network, to be ended by Close.
func NewNetwork() *Network {
	return &Network{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Dial connects to the server, whatever the address; after Close the connection is
// refused.
func (n *Network) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case n.conns <- server:
		return client, nil
	case <-n.closed:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: n.Addr(), Err: errors.New("connection refused")}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Client returns a client of HTTP/1.1, or of HTTP/2 without TLS.
func (n *Network) Client(http2 bool) *http.Client {
	transport := &http.Transport{DialContext: n.Dial, Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(!http2)
	transport.Protocols.SetUnencryptedHTTP2(http2)
	return &http.Client{Transport: transport}
}

// Accept implements [net.Listener].
func (n *Network) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (n *Network) Close() error { n.once.Do(func() { close(n.closed) }); return nil }

// Addr implements [net.Listener].
func (n *Network) Addr() net.Addr { return &net.TCPAddr{} }
