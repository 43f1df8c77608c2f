package eventloop

import (
	"bytes"
	"strconv"
	"sync"
	"time"
)

// A buffer is what a goroutine needs to make steps, one for all its streams. Nothing
// of it is used after a step.
type buffer struct {
	now     time.Time // when the pass began
	frames  [][]byte
	framing []byte // what comes before the frames
	pieces  pieces
	bytes   []byte
	sealed  bytes.Buffer
	attempt
}

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// fill puts together what the response consists of: the head, if it was not written,
// frames as one chunk (RFC 9112, section 7.1), and the end, if last. No data is no chunk:
// an empty one would be the last.
func (b *buffer) fill(c *conn, frames [][]byte, last bool) pieces {
	b.framing = append(b.framing[:0], c.head...)
	if !c.isChunked {
		b.pieces = append(append(b.pieces[:0], b.framing), frames...)
		return b.pieces
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
	return b.pieces
}

var (
	chunkEnd  = []byte("\r\n")
	lastChunk = []byte("0\r\n\r\n")
)

// join returns the first bytes of p, most of them at the most, in one slice.
func (b *buffer) join(p pieces, most int) []byte {
	b.bytes = b.bytes[:0]
	for _, piece := range p {
		b.bytes = append(b.bytes, piece[:min(len(piece), most-len(b.bytes))]...)
		if len(b.bytes) == most {
			break
		}
	}
	return b.bytes
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
