package web_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
)

// proxy passes the bytes of connections on, until it is to swallow them.
type proxy struct {
	addr   string
	target string
	mu     sync.Mutex
	dead   bool // connections of now, and later ones until forward, are silent
	open   []*pair
}

type pair struct {
	client, server net.Conn
	mu             sync.Mutex
	dead           bool
}

func startProxy(t *testing.T, target string) *proxy {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: listener.Addr().String(), target: target}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		p.mu.Lock()
		for _, c := range p.open {
			c.close()
		}
		p.mu.Unlock()
		running.Wait()
	})
	return p
}

func (p *proxy) serve(client net.Conn) {
	server, err := new(net.Dialer).DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	c := &pair{client: client, server: server, dead: p.dead}
	p.open = append(p.open, c)
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { c.copy(server, client) })
	both.Go(func() { c.copy(client, server) })
	both.Wait()
}

func (c *pair) copy(to io.Writer, from io.Reader) {
	defer c.end()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if !c.isDead() {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
	}
}

// end closes both sides, unless the connection is a dead one: those close nothing.
func (c *pair) end() {
	if !c.isDead() {
		c.close()
	}
}

func (c *pair) close() {
	_ = c.client.Close()
	_ = c.server.Close()
}

func (c *pair) isDead() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead
}

// swallow lets nothing through any more, on any connection.
func (p *proxy) swallow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
	for _, c := range p.open {
		c.mu.Lock()
		c.dead = true
		c.mu.Unlock()
	}
}

// forward lets new connections through again.
func (p *proxy) forward() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = false
}
