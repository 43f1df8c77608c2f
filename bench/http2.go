package main

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"

	"golang.org/x/net/http2/hpack"
)

// http2 is an HTTP/2 connection with its streams (RFC 9113). It knows what servers
// send in answer to a GET without a body, and never lets a window run out.
type http2 struct {
	conn    *conn
	streams map[uint32]exchange
	last    uint32 // id of the last stream that was opened
	decoder *hpack.Decoder
	encoder *hpack.Encoder
	block   bytes.Buffer // header block, from the encoder
	part    []byte       // a frame that has not arrived completely
}

// Types and flags of frames, RFC 9113 section 6.
const (
	frameData, frameHeaders, frameReset, frameSettings = 0, 1, 3, 4
	framePing, frameGoAway, frameWindowUpdate          = 6, 7, 8

	flagAck, flagEndStream, flagEndHeaders, flagPadded, flagPriority = 1, 1, 4, 8, 0x20
)

func newHTTP2(c *conn) *http2 {
	h := &http2{conn: c, streams: map[uint32]exchange{}, decoder: hpack.NewDecoder(4096, nil)}
	h.encoder = hpack.NewEncoder(&h.block)
	c.user = h
	const initialWindowSize, largest, initial = 4, 1<<31 - 1, 1<<16 - 1
	b := []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	b = appendFrame(b, frameSettings, 0, 0, binary.BigEndian.AppendUint32([]byte{0, initialWindowSize}, largest))
	c.send(appendFrame(b, frameWindowUpdate, 0, 0, binary.BigEndian.AppendUint32(nil, largest-initial)))
	return h
}

func appendFrame(b []byte, kind, flags byte, stream uint32, payload []byte) []byte {
	b = append(b, byte(len(payload)>>16), byte(len(payload)>>8), byte(len(payload)), kind, flags)
	return append(binary.BigEndian.AppendUint32(b, stream), payload...)
}

// get opens a stream.
func (h *http2) get(path, scheme string, to exchange) {
	h.block.Reset()
	for _, field := range [][2]string{
		{":method", "GET"}, {":scheme", scheme}, {":authority", "127.0.0.1"}, {":path", path}, {"accept", "text/event-stream"},
	} {
		_ = h.encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}) // a buffer takes everything
	}
	h.last += 2
	id := h.last - 1 // of a client they are odd
	h.streams[id] = to
	h.conn.send(appendFrame(nil, frameHeaders, flagEndStream|flagEndHeaders, id, h.block.Bytes()))
}

func (h *http2) receive(b []byte) {
	if len(h.part) > 0 {
		h.part = append(h.part, b...)
		b = h.part
	}
	const header = 9
	for len(b) >= header && !h.conn.closed {
		end := header + (int(b[0])<<16 | int(b[1])<<8 | int(b[2]))
		if len(b) < end {
			break
		}
		h.frame(b[3], b[4], binary.BigEndian.Uint32(b[5:]), b[header:end])
		b = b[end:]
	}
	h.part = append(h.part[:0], b...)
}

func (h *http2) frame(kind, flags byte, id uint32, payload []byte) {
	stream := h.streams[id]
	switch kind {
	case frameSettings, framePing:
		if flags&flagAck == 0 {
			answer := payload
			if kind == frameSettings {
				answer = nil
			}
			h.conn.send(appendFrame(nil, kind, flagAck, 0, answer))
		}
		return
	case frameGoAway:
		h.conn.fail()
		return
	}
	if stream == nil {
		return
	}
	switch kind {
	case frameReset:
		delete(h.streams, id)
		stream.lost()
		return
	case frameHeaders:
		status, isStream, err := h.parse(flags, payload)
		if err != nil {
			h.conn.fail()
			return
		}
		stream.head(status, isStream)
	case frameData:
		stream.data(unpad(flags, payload))
	default:
		return
	}
	if flags&flagEndStream != 0 {
		delete(h.streams, id)
		stream.done()
	}
}

func (h *http2) parse(flags byte, payload []byte) (status int, isStream bool, err error) {
	payload = unpad(flags, payload)
	if flags&flagPriority != 0 {
		payload = payload[5:]
	}
	fields, err := h.decoder.DecodeFull(payload)
	for _, f := range fields {
		switch f.Name {
		case ":status":
			status, _ = strconv.Atoi(f.Value)
		case "content-type":
			isStream = strings.HasPrefix(f.Value, "text/event-stream")
		}
	}
	return status, isStream, err
}

func unpad(flags byte, payload []byte) []byte {
	if flags&flagPadded != 0 {
		return payload[1 : len(payload)-int(payload[0])]
	}
	return payload
}

func (h *http2) lost() {
	for id, stream := range h.streams {
		delete(h.streams, id)
		stream.lost()
	}
}
