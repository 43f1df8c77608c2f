package eventloop

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"syscall"
	"time"

	"example.com/sse-demo/sse/internal/stream"
)

// maxWrite is how many bytes one system call is given at most: of more, few sockets
// would take all, and it would have been put together in vain.
const maxWrite = 64 << 10

// A conn is a connection that was taken over from net/http.
type conn struct {
	socket    net.Conn        // below TLS
	raw       syscall.RawConn // to write without waiting; nil if that is not possible
	sealer    *sealer         // nil without TLS
	isChunked bool            // else, over HTTP/1.0, the response ends with the connection
	head      []byte          // of the response; nil when it was written
	rest      []byte          // of a write that the socket did not take as a whole
	unsent    pieces          // what follows it, before TLS
	isLast    bool            // nothing follows that
}

// canHijack reports whether the request came over a connection that can be taken over:
// HTTP/1, over TLS if [ListenTLS] has accepted it. A long poll over TLS is not worth the
// handshake that its next request would need then.
func canHijack(r *http.Request, isPoll bool) bool {
	if r.TLS != nil {
		if _, isOurs := r.Context().Value(http.LocalAddrContextKey).(tlsAddr); !isOurs || isPoll {
			return false
		}
	}
	return r.ProtoMajor == 1 && r.Method != http.MethodHead
}

// hijack takes the connection over. What the client has sent after its request is
// dropped.
func hijack(w http.ResponseWriter, r *http.Request) (conn, error) {
	socket, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return conn{}, err
	}
	c := conn{socket: socket, sealer: newSealer(socket), isChunked: r.ProtoAtLeast(1, 1)}
	if c.sealer != nil {
		c.socket = c.sealer.socket.Conn
	}
	if s, ok := c.socket.(syscall.Conn); ok {
		c.raw, _ = s.SyscallConn() // nil if there is an error
	}
	return c, nil
}

// Close may be called at any time, by any goroutine.
func (c *conn) Close() {
	_ = c.socket.Close() // nothing is lost that could still be sent
}

// setHead prepares the head of the response and first, the first bytes of its body. The
// connection is not used for another request: nothing would read it.
func (c *conn) setHead(header http.Header, first []byte) {
	head := bytes.NewBuffer(make([]byte, 0, 512)) // enough for most
	if c.isChunked {
		head.WriteString("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n")
	} else {
		head.WriteString("HTTP/1.0 200 OK\r\n")
	}
	head.WriteString("Connection: close\r\nDate: ")
	head.Write(time.Now().UTC().AppendFormat(head.AvailableBuffer(), http.TimeFormat))
	head.WriteString("\r\n")
	_ = header.Write(head) // a buffer takes all
	head.WriteString("\r\n")
	if c.isChunked && len(first) > 0 {
		_, _ = fmt.Fprintf(head, "%x\r\n%s\r\n", len(first), first)
	} else {
		head.Write(first)
	}
	c.head = head.Bytes()
}

// tryWrite writes what the socket takes at once of the head, if it was not written,
// frames and, if last, the end of the response. If that is not all, it keeps the rest
// for flush, and isFull is true.
func (c *conn) tryWrite(b *buffer, frames [][]byte, last bool) (isFull bool, err error) {
	unsent := b.fill(c, frames, last)
	defer clear(b.pieces) // it holds no events
	c.head = nil
	p, n := b.join(unsent, maxWrite), 0
	if len(p) == 0 && (c.sealer == nil || !last) { // TLS has an end even if there is no more data
		return false, nil
	}
	if c.sealer != nil {
		unsent = unsent.skip(len(p))
		p, err = c.sealer.seal(&b.sealed, p, last && len(unsent) == 0)
	}
	if err == nil {
		n, err = b.write(c.raw, p)
	}
	if err != nil {
		return false, fmt.Errorf("eventloop: write: %w", err)
	}
	var rest []byte
	if c.sealer != nil {
		rest = p[n:]
	} else {
		unsent = unsent.skip(n)
	}
	if len(rest)+len(unsent) == 0 {
		return false, nil
	}
	// The memory is the worker's, but for the frames.
	if len(unsent) == len(b.pieces) {
		unsent[0] = bytes.Clone(unsent[0])
	}
	c.rest, c.unsent, c.isLast = bytes.Clone(rest), slices.Clone(unsent), last
	return true, nil
}

// flush writes what tryWrite has kept, and waits for the client. If it takes no bytes
// for its patience, the error wraps [os.ErrDeadlineExceeded].
func (c *conn) flush(s *stream.Stream) error {
	out := &slowWriter{c, s}
	_, err := out.Write(c.rest)
	for b := (buffer{}); err == nil && len(c.unsent) > 0; {
		p := b.join(c.unsent, stream.PieceSize)
		c.unsent = c.unsent.skip(len(p))
		if c.sealer == nil {
			_, err = out.Write(p)
		} else {
			err = c.sealer.write(out, p, c.isLast && len(c.unsent) == 0)
		}
	}
	c.rest, c.unsent = nil, nil
	if err != nil {
		return fmt.Errorf("eventloop: write: %w", err)
	}
	return nil
}

// A slowWriter writes to the socket of a connection, and waits for the client.
type slowWriter struct {
	*conn
	stream *stream.Stream
}

// Write implements [io.Writer]. The patience for the client begins anew with the bytes
// that it takes. Whether it has taken some is looked at eight times in a timeout; a
// timeout of 0 is for ever. The deadline stays: tryWrite does not use it.
func (w *slowWriter) Write(p []byte) (written int, err error) {
	now := time.Now()
	held, stallsAt := w.unacknowledged(), now.Add(w.stream.Patience(now))
	for written < len(p) {
		var look time.Time
		if w.stream.WriteTimeout > 0 {
			look = now.Add(max(w.stream.WriteTimeout/8, time.Millisecond))
			if stallsAt.Before(look) {
				look = stallsAt
			}
		}
		if err := w.socket.SetWriteDeadline(look); err != nil {
			return written, err
		}
		n, err := w.socket.Write(p[written:])
		written += n
		now = time.Now()
		before := held
		held = w.unacknowledged()
		hasMoved := n > 0 || held < before
		isWaiting := errors.Is(err, os.ErrDeadlineExceeded) && (hasMoved || now.Before(stallsAt))
		if err != nil && !isWaiting {
			return written, err
		}
		if hasMoved {
			stallsAt = now.Add(w.stream.Patience(now))
		}
	}
	return written, nil
}
