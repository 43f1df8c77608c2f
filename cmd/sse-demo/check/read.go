package check

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"strings"
	"time"

	"example.com/sse-demo/sse"
)

// read notes what comes until the stream ends, or the context that the answer was
// opened with, and closes the answer. The accepted Content-Encoding is empty or
// gzip.
func (r *record) read(a *answer, accepted string) error {
	defer a.close()
	r.change(func(s *seen) { s.connect(a.answered) })
	defer func() { r.change(func(s *seen) { s.disconnect(time.Now()) }) }()
	body := &timed{in: a.Body, record: r}
	in, err := r.decode(body, a.Header.Get("Content-Encoding"), accepted)
	if err != nil {
		return err
	}
	reader := sse.NewReader(in)
	reader.MaxEvent = maxEvent
	reader.OnFault = func(f sse.Fault) { r.change(func(s *seen) { s.fault(f) }) }
	noteRetry, noteID := r.noteRetry(reader), r.noteLastID(reader)
	body.before = func() { noteRetry(); noteID() }
	for {
		event, err := reader.Next()
		body.before()
		if err != nil {
			r.change(func(s *seen) { s.tooLong = s.tooLong || errors.Is(err, sse.ErrTooLong) })
			return err
		}
		id := ""
		if reader.HasID() {
			id = event.ID
		}
		r.change(func(s *seen) { s.event(event, id) })
	}
}

// noteLastID returns a function that notes the last event id as a client keeps it:
// a block without data sets it, too, and an empty id resets it.
func (r *record) noteLastID(reader *sse.Reader) func() {
	last := ""
	return func() {
		if id := reader.LastEventID(); id != last && isFieldValue(id) {
			r.change(func(s *seen) { s.lastID = id })
			last = id
		}
	}
}

// noteRetry returns a function that notes the reconnection time that the reader
// has read by now.
func (r *record) noteRetry(reader *sse.Reader) func() {
	known, last := false, time.Duration(0)
	return func() {
		d, ok := reader.Retry()
		if ok && (!known || d != last) {
			r.change(func(s *seen) { s.retry(d, !known) })
			known, last = true, d
		}
	}
}

// decode returns what is in a body with this Content-Encoding. If it cannot be
// decoded, it reads it to its end.
func (r *record) decode(body io.Reader, encoding, accepted string) (io.Reader, error) {
	encoding = strings.ToLower(strings.TrimSpace(encoding))
	if encoding == "" || encoding == "identity" {
		return body, nil
	}
	if encoding != accepted {
		r.change(func(s *seen) { s.encoding = encoding })
	}
	switch encoding {
	case "gzip", "x-gzip":
		return gzip.NewReader(body)
	case "deflate":
		return inflate(body)
	}
	r.change(func(s *seen) { s.unreadable = true })
	_, err := io.Copy(io.Discard, body)
	if err == nil {
		err = io.EOF
	}
	return nil, err
}

// inflate reads zlib's format, or the bare one that some servers send (RFC 9110,
// 8.4.1.2).
func inflate(body io.Reader) (io.Reader, error) {
	in := bufio.NewReader(body)
	if first, err := in.Peek(1); err != nil || first[0]&0x0f == 8 {
		return zlib.NewReader(in)
	}
	return flate.NewReader(in), nil
}

// timed notes when bytes come.
type timed struct {
	in     io.Reader
	record *record
	before func() // is called before each read
}

func (t *timed) Read(p []byte) (int, error) {
	if t.before != nil {
		t.before()
	}
	n, err := t.in.Read(p)
	if n > 0 {
		now := time.Now()
		t.record.change(func(s *seen) { s.bytes(now) })
	}
	return n, err
}
