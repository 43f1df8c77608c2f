//go:build !unix

package sse

import "net"

// newConn returns an output that only writes by waiting.
func newConn(inner net.Conn, talks bool) *conn {
	return &conn{Conn: inner, talks: talks, try: tryNothing}
}
