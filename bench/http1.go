package main

import (
	"bytes"
	"strconv"
)

// An exchange is the receiving half of one request: a subscriber or a publisher.
type exchange interface {
	head(status int, isStream bool)
	data(b []byte) // valid until it returns
	done()         // the response is complete
	lost()         // the connection was lost before
}

func request(method, path, headers string) string {
	return method + " " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\n" + headers
}

// http1 reads the responses of an HTTP/1.1 connection, one after the other.
type http1 struct {
	exchange

	raw    []byte // head so far
	headed bool
	body   body
}

func (h *http1) receive(b []byte) {
	if !h.headed {
		h.raw = append(h.raw, b...)
		i := bytes.Index(h.raw, []byte("\r\n\r\n"))
		if i < 0 {
			return
		}
		head := parseHead(h.raw[:i])
		b, h.raw = h.raw[i+4:], nil
		h.headed, h.body = true, head.body
		h.head(head.status, head.isStream)
	}
	h.body.feed(b, h.data)
	if h.body.ended {
		h.headed = false
		h.done()
	}
}

type head struct {
	status   int
	isStream bool // is text/event-stream
	body     body
}

func parseHead(b []byte) head {
	h := head{body: body{left: untilClosed}}
	if len(b) >= 12 {
		h.status, _ = strconv.Atoi(string(b[9:12]))
	}
	for line := range bytes.SplitSeq(b, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.ToLower(bytes.TrimSpace(value))
		switch string(bytes.ToLower(name)) {
		case "content-length":
			h.body.left, _ = strconv.Atoi(string(value))
		case "transfer-encoding":
			h.body = body{chunked: bytes.Contains(value, []byte("chunked"))}
		case "content-type":
			h.isStream = bytes.HasPrefix(value, []byte("text/event-stream"))
		}
	}
	if h.status == 204 {
		h.body = body{}
	}
	return h
}

// body takes the transfer encoding off a response that arrives in pieces.
type body struct {
	chunked bool
	ended   bool
	state   uint8 // of a chunked body
	left    int   // bytes of the chunk, or of the whole body
}

const untilClosed = -1 // left of a body without a length

const (
	inSize    = iota // hex digits of the chunk size
	inExt            // rest of the size line
	inData           // chunk data
	inTrailer        // CRLF after the data
)

func (d *body) feed(b []byte, emit func([]byte)) {
	if d.chunked {
		d.feedChunked(b, emit)
		return
	}
	if d.left != untilClosed {
		b = b[:min(d.left, len(b))]
		d.left -= len(b)
		d.ended = d.left == 0
	}
	if len(b) > 0 {
		emit(b)
	}
}

func (d *body) feedChunked(b []byte, emit func([]byte)) {
	for len(b) > 0 {
		switch d.state {
		case inSize:
			c := b[0]
			switch {
			case c >= '0' && c <= '9':
				d.left = d.left<<4 | int(c-'0')
			case c|0x20 >= 'a' && c|0x20 <= 'f':
				d.left = d.left<<4 | int(c|0x20-'a'+10)
			default:
				d.state = inExt
				continue
			}
			b = b[1:]
		case inExt:
			i := bytes.IndexByte(b, '\n')
			if i < 0 {
				return
			}
			b = b[i+1:]
			if d.left == 0 {
				d.ended = true
				return
			}
			d.state = inData
		case inData:
			n := min(d.left, len(b))
			emit(b[:n])
			b, d.left = b[n:], d.left-n
			if d.left == 0 {
				d.state = inTrailer
			}
		case inTrailer:
			i := bytes.IndexByte(b, '\n')
			if i < 0 {
				return
			}
			b, d.state, d.left = b[i+1:], inSize, 0
		}
	}
}
