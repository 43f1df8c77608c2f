package main

import (
	"net"
	"net/http"
	"sync"
)

// unusedConns are the connections that have yet to bring a first request, as
// browsers and load balancers open them in advance. The shutdown of net/http would
// wait five seconds for each of them, and not answer the request.
type unusedConns struct {
	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
}

// note is to be called when the state of a connection changes.
func (u *unusedConns) note(conn net.Conn, state http.ConnState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch state {
	case http.StateNew:
		u.conns[conn] = struct{}{}
		if u.closed {
			_ = conn.Close()
		}
	case http.StateActive, http.StateClosed:
		delete(u.conns, conn)
	case http.StateIdle, http.StateHijacked: // it was active before
	}
}

// close closes them, and those that come later.
func (u *unusedConns) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	for conn := range u.conns {
		_ = conn.Close() // nothing was asked, so nothing is lost
	}
}
