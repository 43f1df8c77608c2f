package sse

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrTooLong is the error of a [Reader] whose stream sends an event that is
// longer than Reader.MaxEvent.
var ErrTooLong = errors.New("sse: the event is too long")

// DefaultMaxEvent is the limit of a [Reader] whose MaxEvent is 0, in bytes.
const DefaultMaxEvent = 1 << 20

// A Reader decodes an event stream by the rules of WHATWG HTML, section 9.2.6,
// so it sees what a browser sees. It returns an event as soon as its blank line
// has arrived. Set its fields before the first call of Next.
type Reader struct {
	// MaxEvent is how many bytes one event may have, without its line ends; 0
	// means DefaultMaxEvent.
	MaxEvent int
	// OnComment, if not nil, is called with each comment, without its colon and
	// one space.
	OnComment func(text string)
	// OnFault, if not nil, is called with everything that the rules forgive or
	// ignore.
	OnFault func(Fault)

	in      *bufio.Reader
	started bool // the first line was read
	afterCR bool // a LF that comes next belongs to the line end before
	line    []byte
	size    int // bytes of the block that is being read

	id       string // of the block that is being read
	name     string
	data     []byte
	fields   []string // names of the fields of the block
	lastID   string   // of the last complete block
	hasID    bool     // the last event has an id field of its own
	retry    time.Duration
	hasRetry bool
	err      error // the first of Next
}

// NewReader returns a Reader of the stream in.
func NewReader(in io.Reader) *Reader { return &Reader{in: bufio.NewReader(in)} }

// LastEventID is what a client would send if it reconnected now: the id of the
// last complete block, which an event that is cut off does not change.
func (r *Reader) LastEventID() string { return r.lastID }

// HasID reports whether the event that Next returned last has an id of its own,
// and not that of an event before.
func (r *Reader) HasID() bool { return r.hasID }

// Retry is the reconnection time that the stream set last; ok is false if it has
// set none.
func (r *Reader) Retry() (delay time.Duration, ok bool) { return r.retry, r.hasRetry }

// Next returns the next event. Its ID is the last event id, which stays from
// event to event; its Name is empty if the stream gives it none, which browsers
// call a "message". At the end of the stream the error is io.EOF; an event
// without its blank line is dropped, as the standard says. Once Next has returned
// an error it returns the same one again: what follows may be a part of an event.
func (r *Reader) Next() (Event, error) {
	for r.err == nil {
		var line []byte
		if line, r.err = r.readLine(); r.err != nil {
			if errors.Is(r.err, io.EOF) {
				r.endOfStream(line)
			}
			break
		}
		if len(line) > 0 {
			r.field(r.decode(line))
			continue
		}
		if event, ok := r.dispatch(); ok {
			return event, nil
		}
	}
	return Event{}, r.err
}

// readLine reads up to CRLF, LF or CR. After a CR it returns at once: whether a
// LF follows shows only with the next byte, which may take its time.
func (r *Reader) readLine() ([]byte, error) {
	r.line = r.line[:0]
	for {
		c, err := r.in.ReadByte()
		if err != nil {
			return r.line, err
		}
		if r.afterCR {
			r.afterCR = false
			if c == '\n' {
				r.fault(CRLF, "")
				continue
			}
			r.fault(LoneCR, "")
		}
		if c == '\n' || c == '\r' {
			r.afterCR = c == '\r'
			return r.line, nil
		}
		if err := r.readPlain(c); err != nil {
			return r.line, err
		}
	}
}

// readPlain adds c, and what the buffer holds of the same line, to the line.
func (r *Reader) readPlain(c byte) error {
	r.line = append(r.line, c)
	ahead, _ := r.in.Peek(r.in.Buffered())
	if end := bytes.IndexAny(ahead, "\r\n"); end >= 0 {
		ahead = ahead[:end]
	}
	r.line = append(r.line, ahead...)
	_, _ = r.in.Discard(len(ahead)) // it is in the buffer
	r.size += 1 + len(ahead)
	limit := r.MaxEvent
	if limit <= 0 {
		limit = DefaultMaxEvent
	}
	if r.size > limit {
		return fmt.Errorf("%w: over %d bytes", ErrTooLong, limit)
	}
	return nil
}
