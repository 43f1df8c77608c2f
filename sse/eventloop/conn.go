package eventloop

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"example.com/sse-demo/sse/internal/stream"
)

// errWouldBlock means that a socket takes no more at present. What it did not take
// is kept in conn.unsent.
var errWouldBlock = errors.New("eventloop: the socket is full")

// maxWrite is how many bytes one system call is given at most: of more, few sockets
// would take all, and it would have been put together in vain.
const maxWrite = 64 << 10

// A conn is a connection that was taken over from net/http.
type conn struct {
	socket net.Conn
	raw    syscall.RawConn // to write without waiting; nil if that is not possible
	head   []byte          // of the response; nil when it was written
	unsent pieces          // what a full socket did not take, the framing of HTTP included
}

// pieces are bytes in order. Those of frames are shared by all streams that send
// them, so what a slow client has yet to take is not copied for it.
type pieces [][]byte

// skip returns what follows the first n bytes, without empty pieces before it. It
// changes p.
func (p pieces) skip(n int) pieces {
	for len(p) > 0 && n >= len(p[0]) {
		n -= len(p[0])
		p = p[1:]
	}
	if len(p) > 0 {
		p[0] = p[0][n:]
	}
	return p
}

// canHijack reports whether the request came over a connection that can be taken
// over: HTTP/1.1 without TLS.
func canHijack(r *http.Request) bool {
	return r.TLS == nil && r.ProtoMajor == 1 && r.ProtoMinor >= 1 && r.Method == http.MethodGet
}

// hijack takes the connection over. What the client has sent after its request is
// dropped.
func hijack(w http.ResponseWriter) (conn, error) {
	socket, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return conn{}, err
	}
	c := conn{socket: socket}
	if s, ok := socket.(syscall.Conn); ok {
		c.raw, _ = s.SyscallConn() // nil if there is an error
	}
	return c, nil
}

// Close may be called at any time, by any goroutine.
func (c *conn) Close() {
	_ = c.socket.Close() // nothing is lost that could still be sent
}

// setHead prepares the head of a chunked response and first, the first bytes of its
// body. The connection is not used for another request: nothing would read it.
func (c *conn) setHead(header http.Header, first []byte) {
	head := bytes.NewBuffer(make([]byte, 0, 512)) // enough for most
	head.WriteString("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\nDate: ")
	head.Write(time.Now().UTC().AppendFormat(head.AvailableBuffer(), http.TimeFormat))
	head.WriteString("\r\n")
	_ = header.Write(head) // a buffer takes all
	head.WriteString("\r\n")
	if len(first) > 0 {
		_, _ = fmt.Fprintf(head, "%x\r\n%s\r\n", len(first), first)
	}
	c.head = head.Bytes()
}

// A buffer is what a goroutine needs to make steps, one for all its streams. Nothing
// of it is used after a step.
type buffer struct {
	now     time.Time // when the pass began
	frames  [][]byte
	framing []byte // what comes before the frames
	pieces  pieces
	bytes   []byte
	attempt
}

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// fill puts together what a response consists of: head, frames as one chunk (RFC 9112,
// section 7.1), and its end, if last. No data is no chunk: an empty one would be the
// last.
func (b *buffer) fill(head []byte, frames [][]byte, last bool) {
	b.framing = append(b.framing[:0], head...)
	size := 0
	for _, frame := range frames {
		size += len(frame)
	}
	if size > 0 {
		b.framing = append(strconv.AppendUint(b.framing, uint64(size), 16), "\r\n"...)
	}
	b.pieces = append(append(b.pieces[:0], b.framing), frames...)
	if size > 0 {
		b.pieces = append(b.pieces, chunkEnd)
	}
	if last {
		b.pieces = append(b.pieces, lastChunk)
	}
}

var (
	chunkEnd  = []byte("\r\n")
	lastChunk = []byte("0\r\n\r\n")
)

// join returns the first bytes of p, most of them at the most, in one slice.
func (b *buffer) join(p pieces, most int) []byte {
	if len(p[0]) >= most {
		return p[0][:most]
	}
	b.bytes = b.bytes[:0]
	for _, piece := range p {
		b.bytes = append(b.bytes, piece[:min(len(piece), most-len(b.bytes))]...)
		if len(b.bytes) == most {
			break
		}
	}
	return b.bytes
}

// tryWrite writes as much as the socket takes at once of the head, if it was not
// written, frames and, if last, the end of the response. If that is not all, it keeps
// the rest and returns errWouldBlock.
func (c *conn) tryWrite(b *buffer, frames [][]byte, last bool) error {
	b.fill(c.head, frames, last)
	defer clear(b.pieces) // it holds no events
	c.head = nil
	for rest := b.pieces.skip(0); len(rest) > 0; {
		p := b.join(rest, maxWrite)
		n, err := b.write(c.raw, p)
		if err != nil {
			return fmt.Errorf("eventloop: write: %w", err)
		}
		rest = rest.skip(n)
		if n == len(p) {
			continue
		}
		c.unsent = slices.Clone(rest)
		if len(rest) == len(b.pieces) {
			c.unsent[0] = bytes.Clone(rest[0]) // the framing is the worker's
		}
		return errWouldBlock
	}
	return nil
}

// flush writes what is yet to be written, and waits for the client. If it takes no
// bytes for its patience, which begins anew with those that it takes, the error wraps
// [os.ErrDeadlineExceeded]. Whether it has taken some is looked at eight times in a
// timeout; a timeout of 0 is for ever. The deadline stays: tryWrite does not use it.
func (c *conn) flush(s *stream.Stream) error {
	var b buffer
	now := time.Now()
	held, stallsAt := c.unacknowledged(), now.Add(s.Patience(now))
	for len(c.unsent) > 0 {
		if s.WriteTimeout > 0 {
			look := now.Add(max(s.WriteTimeout/8, time.Millisecond))
			if stallsAt.Before(look) {
				look = stallsAt
			}
			if err := c.socket.SetWriteDeadline(look); err != nil {
				return fmt.Errorf("eventloop: write deadline: %w", err)
			}
		}
		n, err := c.socket.Write(b.join(c.unsent, stream.PieceSize))
		now = time.Now()
		c.unsent = c.unsent.skip(n)
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
	c.unsent = nil
	return nil
}
