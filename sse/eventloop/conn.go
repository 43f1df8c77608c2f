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

// maxSealed is the same over TLS. It is less, because streams cannot share what was
// encrypted and was not taken.
const maxSealed = 16 << 10

// A conn is a connection that was taken over from net/http.
type conn struct {
	socket    net.Conn        // below TLS
	raw       syscall.RawConn // to write without waiting; nil if that is not possible
	sealer    *sealer         // nil without TLS
	isChunked bool            // else the end of the connection is the end of the response
	head      []byte          // of the response; nil when it was written
	sealed    []byte          // what a full socket did not take, of what was encrypted
	unsent    pieces          // the rest, the framing of HTTP included
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

// closeCleanly sends the end of TLS, if the socket takes it, and closes the connection.
func (c *conn) closeCleanly() {
	if c.sealer != nil && len(c.sealed) == 0 {
		var b buffer
		_, _ = b.write(c.raw, c.sealer.closing())
	}
	c.Close()
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

// A buffer is what a goroutine needs to make steps, one for all its streams. Nothing
// of it is used after a step.
type buffer struct {
	now     time.Time // when the pass began
	frames  [][]byte
	framing []byte // what comes before the frames
	pieces  pieces
	bytes   []byte
	sealed  []byte
	attempt
}

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// fill puts together what the response consists of: its head, if that was not written,
// frames as one chunk (RFC 9112, section 7.1), and its end, if last. No data is no chunk:
// an empty one would be the last.
func (b *buffer) fill(c *conn, frames [][]byte, last bool) {
	b.framing = append(b.framing[:0], c.head...)
	c.head = nil
	if !c.isChunked {
		b.pieces = append(append(b.pieces[:0], b.framing), frames...)
		return
	}
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
	b.fill(c, frames, last)
	defer clear(b.pieces) // it holds no events
	most := maxWrite
	if c.sealer != nil {
		most = maxSealed
	}
	for rest := b.pieces.skip(0); len(rest) > 0; {
		p := b.join(rest, most)
		n, err := c.tryWriteOnce(b, p)
		if err != nil {
			return fmt.Errorf("eventloop: write: %w", err)
		}
		rest = rest.skip(n)
		if n == len(p) && len(c.sealed) == 0 {
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

// tryWriteOnce returns how much of p is written. Over TLS that is all of it: c.sealed has
// what the socket did not take.
func (c *conn) tryWriteOnce(b *buffer, p []byte) (n int, err error) {
	if c.sealer == nil {
		return b.write(c.raw, p)
	}
	if b.sealed, err = c.sealer.seal(b.sealed, p); err != nil {
		return 0, err
	}
	n, err = b.write(c.raw, b.sealed)
	if n < len(b.sealed) {
		c.sealed = bytes.Clone(b.sealed[n:])
	}
	return len(p), err
}

// flush writes what is yet to be written, and waits for the client. If it takes no
// bytes for its patience, which begins anew with those that it takes, the error wraps
// [os.ErrDeadlineExceeded]. Whether it has taken some is looked at eight times in a
// timeout; a timeout of 0 is for ever. The deadline stays: tryWrite does not use it.
func (c *conn) flush(s *stream.Stream) error {
	var b buffer
	now := time.Now()
	held, stallsAt := c.unacknowledged(), now.Add(s.Patience(now))
	for len(c.sealed)+len(c.unsent) > 0 {
		if s.WriteTimeout > 0 {
			look := now.Add(max(s.WriteTimeout/8, time.Millisecond))
			if stallsAt.Before(look) {
				look = stallsAt
			}
			if err := c.socket.SetWriteDeadline(look); err != nil {
				return fmt.Errorf("eventloop: write deadline: %w", err)
			}
		}
		n, err := c.writeOnce(&b)
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
	c.sealed, c.unsent = nil, nil
	return nil
}

// writeOnce writes a piece of what is yet to be written.
func (c *conn) writeOnce(b *buffer) (n int, err error) {
	if c.sealer == nil {
		n, err = c.socket.Write(b.join(c.unsent, stream.PieceSize))
		c.unsent = c.unsent.skip(n)
		return n, err
	}
	if len(c.sealed) == 0 {
		p := b.join(c.unsent, stream.PieceSize)
		c.unsent = c.unsent.skip(len(p))
		if c.sealed, err = c.sealer.seal(nil, p); err != nil {
			return 0, err
		}
	}
	n, err = c.socket.Write(c.sealed)
	c.sealed = c.sealed[n:]
	return n, err
}
