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

// errWouldBlock means that a socket takes no more at present.
var errWouldBlock = errors.New("eventloop: the socket is full")

// maxWrite is how many bytes one system call is given at most: of more, few sockets
// would take all, and it would have been put together in vain.
const maxWrite = 64 << 10

// A conn is a connection that was taken over from net/http.
type conn struct {
	socket    net.Conn        // below TLS
	raw       syscall.RawConn // to write without waiting; nil if that is not possible
	sealer    *sealer         // nil without TLS
	isChunked bool            // else the end of the connection is the end of the response
	head      []byte          // of the response; nil when it was written
	sealed    []byte          // what was encrypted and is yet to be written
	unsent    pieces          // what follows it, the framing of HTTP included
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

// next returns what is to be written next, most bytes of it at the most, before TLS.
func (c *conn) next(b *buffer, most int) (p []byte, err error) {
	if c.sealer == nil {
		return b.join(c.unsent, most), nil
	}
	if len(c.sealed) == 0 {
		p = b.join(c.unsent, most)
		c.unsent = c.unsent.skip(len(p))
		c.sealed, err = c.sealer.seal(b.sealed, p, c.isLast && len(c.unsent) == 0)
		b.sealed = c.sealed[:0]
	}
	return c.sealed, err
}

// taken notes how many bytes of that were written. It returns true if that was all.
func (c *conn) taken(n int) (isAll bool) {
	if c.sealer == nil {
		c.unsent = c.unsent.skip(n)
	} else {
		c.sealed = c.sealed[n:]
	}
	if isAll = len(c.unsent)+len(c.sealed) == 0; isAll {
		c.unsent, c.sealed = nil, nil
	}
	return isAll
}

// tryWrite writes what the socket takes at once of the head, if it was not written,
// frames and, if last, the end of the response. If that is not all, it keeps the rest
// and returns errWouldBlock.
func (c *conn) tryWrite(b *buffer, frames [][]byte, last bool) error {
	b.fill(c, frames, last)
	defer clear(b.pieces) // it holds no events
	c.unsent, c.isLast = b.pieces.skip(0), last
	if len(c.unsent) == 0 && (!last || c.sealer == nil) { // TLS has an end even if there is no more data
		return nil
	}
	p, err := c.next(b, maxWrite)
	n := 0
	if err == nil {
		n, err = b.write(c.raw, p)
	}
	if err != nil {
		return fmt.Errorf("eventloop: write: %w", err)
	}
	if c.taken(n) {
		return nil
	}
	// The memory is the worker's, but for the frames.
	if len(c.unsent) == len(b.pieces) {
		c.unsent[0] = bytes.Clone(c.unsent[0])
	}
	c.unsent, c.sealed = slices.Clone(c.unsent), bytes.Clone(c.sealed)
	return errWouldBlock
}

// flush writes what is yet to be written, and waits for the client. If it takes no
// bytes for its patience, which begins anew with those that it takes, the error wraps
// [os.ErrDeadlineExceeded]. Whether it has taken some is looked at eight times in a
// timeout; a timeout of 0 is for ever. The deadline stays: tryWrite does not use it.
func (c *conn) flush(s *stream.Stream) error {
	var b buffer
	now := time.Now()
	held, stallsAt := c.unacknowledged(), now.Add(s.Patience(now))
	for isAll := false; !isAll; {
		if s.WriteTimeout > 0 {
			look := now.Add(max(s.WriteTimeout/8, time.Millisecond))
			if stallsAt.Before(look) {
				look = stallsAt
			}
			if err := c.socket.SetWriteDeadline(look); err != nil {
				return fmt.Errorf("eventloop: write deadline: %w", err)
			}
		}
		p, err := c.next(&b, stream.PieceSize)
		n := 0
		if err == nil {
			n, err = c.socket.Write(p)
		}
		isAll = c.taken(n)
		now = time.Now()
		before := held
		held = c.unacknowledged()
		hasMoved := n > 0 || held < before
		isWaiting := errors.Is(err, os.ErrDeadlineExceeded) && (hasMoved || now.Before(stallsAt))
		if err != nil && !isWaiting {
			return fmt.Errorf("eventloop: write: %w", err)
		}
		if hasMoved {
			stallsAt = now.Add(s.Patience(now))
		}
	}
	return nil
}
