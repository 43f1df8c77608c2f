package eventloop

import (
	"crypto/tls"
	"net"
	"slices"

	"example.com/sse-demo/sse/internal/stream"
)

// ListenTLS returns a listener to pass to [net/http.Server.ServeTLS] or
// [crypto/tls.NewListener]. A loop takes over the connections of HTTP/1.1 over TLS only
// if they were accepted by it.
func ListenTLS(l net.Listener) net.Listener { return tlsListener{l} }

type tlsListener struct{ net.Listener }

func (l tlsListener) Accept() (net.Conn, error) {
	socket, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &tlsSocket{Conn: socket}, nil
}

// A tlsSocket is what crypto/tls reads from and writes to.
type tlsSocket struct {
	net.Conn
	isTaken bool
	sealed  []byte // what crypto/tls has written since the connection was taken over
}

// tlsAddr marks a tlsSocket: net/http puts this address into the context of a request.
type tlsAddr struct{ net.Addr }

// LocalAddr implements [net.Conn].
func (s *tlsSocket) LocalAddr() net.Addr { return tlsAddr{s.Conn.LocalAddr()} }

// Write implements [net.Conn]. crypto/tls gives a connection up after a write that was
// not complete, so it may not write to a socket that does not wait.
func (s *tlsSocket) Write(p []byte) (int, error) {
	if !s.isTaken {
		return s.Conn.Write(p)
	}
	s.sealed = append(s.sealed, p...)
	return len(p), nil
}

// A sealer encrypts what is sent over a connection that was taken over. Nothing
// decrypts: what the client sends after its request is dropped as it comes.
type sealer struct {
	conn   *tls.Conn
	socket *tlsSocket
}

// newSealer takes over a connection of TLS. It returns nil for any other.
func newSealer(conn net.Conn) *sealer {
	secure, ok := conn.(*tls.Conn)
	if !ok {
		return nil
	}
	socket := secure.NetConn().(*tlsSocket) // canHijack has seen its address
	socket.isTaken = true
	return &sealer{secure, socket}
}

// seal returns p in records of TLS, each of a piece: a client takes nothing while it is
// busy with a record. If it is the last, the alert follows that nothing is missing (RFC
// 8446, section 6.1). It uses the memory of buffer.
func (s *sealer) seal(buffer, p []byte, isLast bool) (sealed []byte, err error) {
	s.socket.sealed = buffer[:0]
	for piece := range slices.Chunk(p, stream.PieceSize) {
		if _, err = s.conn.Write(piece); err != nil {
			break
		}
	}
	if isLast && err == nil {
		err = s.conn.CloseWrite()
	}
	sealed, s.socket.sealed = s.socket.sealed, nil
	return sealed, err
}
