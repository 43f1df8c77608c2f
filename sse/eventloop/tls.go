package eventloop

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"slices"
	"sync"

	"example.com/sse-demo/sse/internal/stream"
)

// ListenTLS returns a listener to pass to [net/http.Server.ServeTLS] or
// [crypto/tls.NewListener]. A loop takes over the connections of HTTP/1 over TLS only
// if they were accepted by it.
func ListenTLS(l net.Listener) net.Listener { return tlsListener{l} }

type tlsListener struct{ net.Listener }

func (l tlsListener) Accept() (net.Conn, error) {
	socket, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &tlsSocket{Conn: socket, out: socket}, nil
}

// A tlsSocket is what crypto/tls reads from and writes to.
type tlsSocket struct {
	net.Conn
	mu    sync.Mutex
	out   io.Writer    // for what crypto/tls writes; nil between writes of the loop
	reply bytes.Buffer // to what the client has sent: it is part of the next write
}

// tlsAddr marks a tlsSocket: net/http puts this address into the context of a request.
type tlsAddr struct{ net.Addr }

// LocalAddr implements [net.Conn].
func (s *tlsSocket) LocalAddr() net.Addr { return tlsAddr{s.Conn.LocalAddr()} }

// Write implements [net.Conn].
func (s *tlsSocket) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out == nil {
		return s.reply.Write(p)
	}
	return s.out.Write(p)
}

// setOut sets what crypto/tls writes to. If there is a reply, it is written first.
func (s *tlsSocket) setOut(out io.Writer) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out = out; out != nil {
		_, err = s.reply.WriteTo(out)
	}
	return err
}

// A sealer encrypts what is sent over a connection that was taken over.
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
	_ = socket.setOut(nil)
	return &sealer{secure, socket}
}

// write writes p to out in records of TLS, each of a piece: a client takes nothing while
// it is busy with a record. If p is the last, the alert follows that nothing is missing
// (RFC 8446, section 6.1).
func (s *sealer) write(out io.Writer, p []byte, isLast bool) error {
	if err := s.socket.setOut(out); err != nil {
		return err
	}
	defer func() { _ = s.socket.setOut(nil) }()
	for piece := range slices.Chunk(p, stream.PieceSize) {
		if _, err := s.conn.Write(piece); err != nil {
			return err
		}
	}
	if isLast {
		return s.conn.CloseWrite()
	}
	return nil
}

// seal returns p in records of TLS. Crypto/tls gives a connection up after a write that
// was not complete, so it may not write to a socket that does not wait.
func (s *sealer) seal(b *bytes.Buffer, p []byte, isLast bool) ([]byte, error) {
	b.Reset()
	err := s.write(b, p, isLast)
	return b.Bytes(), err
}
