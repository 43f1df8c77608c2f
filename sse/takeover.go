package sse

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

// ErrFull says that a socket takes no more at present. What was not written is
// kept, and is written before anything else by the next Try or Send.
var ErrFull = errors.New("sse: the socket is full")

// lastChunk ends a chunked response (RFC 9112, section 7.1).
const lastChunk = "0\r\n\r\n"

// TakeOver is [Open] for a server of many streams: it takes the connection from
// net/http, so that the handler can return, and its goroutine and its buffers
// (some 20 kB a stream) with it. The connection is then the caller's, who writes
// with Try, from one goroutine to any number of streams, watches it with
// AwaitClient, and closes it with Close.
//
// It fails with [errors.ErrUnsupported], and has then done nothing, for requests
// that do not come over HTTP/1.1 in plain text: use Open for them.
func TakeOver(w http.ResponseWriter, r *http.Request, o Options) (*Stream, error) {
	if r.TLS != nil || r.ProtoMajor != 1 || r.ProtoMinor < 1 || r.Method != http.MethodGet {
		return nil, errors.ErrUnsupported
	}
	own := w.Header()
	conn, buffers, err := http.NewResponseController(w).Hijack()
	if errors.Is(err, http.ErrNotSupported) {
		return nil, errors.ErrUnsupported
	}
	if err != nil {
		return nil, err
	}
	s := &Stream{options: o, conn: conn, raw: rawOf(conn), talks: buffers.Reader.Buffered() > 0}
	b := Buffer{bytes: buffers.AvailableBuffer()} // nobody else needs it any more
	s.rest = appendHead(b.bytes, own)
	if err = s.Try(&b, s.retry()); errors.Is(err, ErrFull) {
		err = s.Send() // a new socket has room for it, but who knows
	}
	if err != nil {
		s.Close()
	}
	return s, err
}

func rawOf(conn net.Conn) syscall.RawConn {
	if socket, ok := conn.(syscall.Conn); ok {
		if raw, err := socket.SyscallConn(); err == nil {
			return raw
		}
	}
	return nil
}

// appendHead appends the head of a chunked response. The connection is not used
// for another request, as nobody would read it.
func appendHead(dst []byte, own http.Header) []byte {
	dst = append(dst, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\nDate: "...)
	dst = time.Now().UTC().AppendFormat(dst, http.TimeFormat)
	dst = append(dst, "\r\n"...)
	for _, field := range head {
		dst = append(dst, field.name...)
		dst = append(dst, ": "...)
		dst = append(dst, field.value...)
		dst = append(dst, "\r\n"...)
	}
	if len(own) > 0 {
		text := bytes.NewBuffer(dst)
		_ = own.Write(text) // a buffer takes all
		dst = text.Bytes()
	}
	return append(dst, "\r\n"...)
}

// frame puts the frames behind what is yet to be written, as one chunk.
func (s *Stream) frame(frames [][]byte) {
	s.rest = appendChunk(s.rest, frames)
	for _, frame := range frames {
		s.written += int64(len(frame))
	}
}

// appendChunk frames data as a chunk of HTTP/1.1. No data is no chunk: an empty
// one would be the last.
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

// A Buffer is what Try needs while it writes, nothing of it afterwards: a
// goroutine has one for all its streams. The zero value is ready.
type Buffer struct {
	bytes []byte
	attempt
}

// Try writes as much as the socket takes at once, as one chunk, with one system
// call. It returns ErrFull where that was not all. It may only be used on streams
// that were taken over.
func (s *Stream) Try(b *Buffer, frames ...[]byte) error {
	s.rest = append(b.bytes[:0], s.rest...)
	s.frame(frames)
	b.bytes, s.rest = s.rest, nil
	n, err := b.write(s.raw, b.bytes)
	if err != nil {
		return s.failed("write", err)
	}
	s.lastWrite = time.Now()
	if n < len(b.bytes) {
		s.rest = append([]byte(nil), b.bytes[n:]...)
		return ErrFull
	}
	return nil
}

// TryHeartbeat is Heartbeat by Try, without the wait for the next.
func (s *Stream) TryHeartbeat(b *Buffer) error {
	if time.Until(s.NextHeartbeat()) > 0 {
		return nil
	}
	return s.Try(b, heartbeat)
}

// End has the next Try or Send write the end of the response, so that the client
// can tell it from a loss. Nothing may be sent after that. The response of a
// handler ends with it.
func (s *Stream) End() {
	if s.conn != nil {
		s.rest = append(s.rest, lastChunk...)
	}
}

// Close closes a connection that was taken over. It may be called at any time.
func (s *Stream) Close() {
	if s.conn != nil {
		_ = s.conn.Close() // nothing is lost that could still be sent
	}
}

// AwaitClient blocks until the client of a stream that was taken over has closed
// the connection, or Close was called. It returns false where the client sends
// something, as no client of a stream does: that it leaves is then seen only by
// writing.
func (s *Stream) AwaitClient() (left bool) {
	if s.talks {
		return false
	}
	var one [1]byte
	_, err := s.conn.Read(one[:])
	return err != nil
}

// sendRest writes what is yet to be written, piece by piece.
func (s *Stream) sendRest() error {
	for len(s.rest) > 0 {
		if err := s.allow(s.options.WriteTimeout); err != nil {
			return err
		}
		n, err := s.conn.Write(s.rest[:min(len(s.rest), pieceSize)])
		if err != nil {
			return s.failed("write", err)
		}
		s.rest = s.rest[n:]
	}
	s.rest = nil
	s.lastWrite = time.Now()
	return s.allow(0)
}
