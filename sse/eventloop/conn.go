package eventloop

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"
)

// errWouldBlock means that a socket takes no more at present. What it did not take
// is kept in conn.unsent.
var errWouldBlock = errors.New("eventloop: the socket is full")

// lastChunk ends a chunked response (RFC 9112, section 7.1).
const lastChunk = "0\r\n\r\n"

// pieceSize is how many bytes share one write deadline.
const pieceSize = 4 << 10

// A conn is a connection that was taken over from net/http.
type conn struct {
	socket net.Conn
	raw    syscall.RawConn // to write without waiting; nil if that is not possible
	unsent []byte          // what is yet to be written, the framing of HTTP included
}

// canHijack reports whether the request came over a connection that can be taken
// over: HTTP/1.1 without TLS.
func canHijack(r *http.Request) bool {
	return r.TLS == nil && r.ProtoMajor == 1 && r.ProtoMinor >= 1 && r.Method == http.MethodGet
}

// hijack takes the connection over. What the client has sent after its request is
// dropped.
func hijack(w http.ResponseWriter) (conn, error) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return conn{}, err
	}
	taken := conn{socket: c}
	if socket, ok := c.(syscall.Conn); ok {
		if raw, err := socket.SyscallConn(); err == nil {
			taken.raw = raw
		}
	}
	return taken, nil
}

// Close may be called at any time, by any goroutine.
func (c *conn) Close() {
	_ = c.socket.Close() // nothing is lost that could still be sent
}

// appendHead prepares the head of a chunked response and first, the first bytes of
// its body. The connection is not used for another request: nothing would read it.
func (c *conn) appendHead(header http.Header, first []byte) {
	head := bytes.NewBuffer(make([]byte, 0, headSize))
	head.WriteString("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\nDate: ")
	head.Write(time.Now().UTC().AppendFormat(head.AvailableBuffer(), http.TimeFormat))
	head.WriteString("\r\n")
	_ = header.Write(head) // a buffer takes all
	head.WriteString("\r\n")
	c.unsent = appendChunk(head.Bytes(), [][]byte{first})
}

// headSize is enough for most heads.
const headSize = 512

// appendChunk appends frames as one chunk of HTTP/1.1. No data is no chunk: an
// empty one would be the last.
func appendChunk(dst []byte, frames [][]byte) []byte {
	size := 0
	for _, frame := range frames {
		size += len(frame)
	}
	if size == 0 {
		return dst
	}
	dst = strconv.AppendUint(dst, uint64(size), 16)
	dst = append(dst, "\r\n"...)
	for _, frame := range frames {
		dst = append(dst, frame...)
	}
	return append(dst, "\r\n"...)
}

// A buffer is what tryWrite needs while it writes, and nothing of it afterwards.
type buffer struct {
	bytes []byte
	attempt
}

// tryWrite writes as much as the socket takes at once of what is yet to be
// written, frames and, if last, the end of the response. If that is not all, it
// keeps the rest and returns errWouldBlock.
func (c *conn) tryWrite(b *buffer, frames [][]byte, last bool) error {
	b.bytes = appendChunk(append(b.bytes[:0], c.unsent...), frames)
	if last {
		b.bytes = append(b.bytes, lastChunk...)
	}
	c.unsent = nil
	n, err := b.write(c.raw, b.bytes)
	if err != nil {
		return fmt.Errorf("eventloop: write: %w", err)
	}
	if n < len(b.bytes) {
		c.unsent = bytes.Clone(b.bytes[n:])
		return errWouldBlock
	}
	return nil
}

// flush writes what is yet to be written, and waits for the client as long as it
// takes some of it within its patience each time; 0 is for ever. Otherwise the
// error wraps [os.ErrDeadlineExceeded]. The deadline stays: tryWrite does not use it.
func (c *conn) flush(patience func() time.Duration) error {
	for len(c.unsent) > 0 {
		if timeout := patience(); timeout > 0 {
			if err := c.socket.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
				return fmt.Errorf("eventloop: write deadline: %w", err)
			}
		}
		before := c.unacknowledged()
		n, err := c.socket.Write(c.unsent[:min(len(c.unsent), pieceSize)])
		c.unsent = c.unsent[n:]
		hasMoved := n > 0 || c.unacknowledged() < before
		isSlow := hasMoved && errors.Is(err, os.ErrDeadlineExceeded)
		if err != nil && !isSlow {
			return fmt.Errorf("eventloop: write: %w", err)
		}
	}
	c.unsent = nil
	return nil
}
