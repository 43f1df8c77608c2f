package sse

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
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

// decode replaces what is not UTF-8 and takes off a byte order mark.
func (r *Reader) decode(line []byte) []byte {
	if !utf8.Valid(line) {
		r.fault(NotUTF8, string(line))
		line = AppendUTF8(nil, line)
	}
	if r.started {
		return line
	}
	r.started = true
	rest, found := bytes.CutPrefix(line, []byte("\ufeff"))
	if found {
		r.fault(ByteOrderMark, "")
	}
	return rest
}

func (r *Reader) field(line []byte) {
	if len(line) == 0 { // nothing but a byte order mark
		return
	}
	text, isComment := bytes.CutPrefix(line, []byte(":"))
	if isComment {
		if r.OnComment != nil {
			r.OnComment(string(bytes.TrimPrefix(text, []byte(" "))))
		}
		r.forgetComments()
		return
	}
	name, value, colon := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	if !colon {
		r.fault(NoColon, string(line))
	}
	known := string(name)
	if known != "data" && slices.Contains(r.fields, known) {
		r.fault(RepeatedField, known)
	}
	switch known {
	case "event":
		r.name = string(value)
	case "data":
		r.data = append(append(r.data, value...), '\n')
	case "id":
		r.setID(value)
	case "retry":
		r.setRetry(string(value))
	default:
		r.fault(UnknownField, string(line))
		known = "unknown" // so that a block of thousands of them stays small
	}
	if !slices.Contains(r.fields, known) {
		r.fields = append(r.fields, known)
	}
}

// forgetComments lets a stream send any number of comments between two events.
func (r *Reader) forgetComments() {
	if len(r.fields) == 0 {
		r.size = 0
	}
}

func (r *Reader) setID(value []byte) {
	if len(value) == 0 {
		r.fault(EmptyID, "")
	}
	if bytes.IndexByte(value, 0) >= 0 {
		r.fault(NulID, string(value))
		return
	}
	r.id = string(value)
}

// maxRetry is the longest delay that time.Duration holds, in ms. The standard
// sets no limit.
const maxRetry = uint64(math.MaxInt64 / time.Millisecond)

func (r *Reader) setRetry(value string) {
	if value == "" || strings.Trim(value, "0123456789") != "" {
		r.fault(BadRetry, value)
		return
	}
	ms, _ := strconv.ParseUint(value, 10, 64) // the largest number, if it is out of range
	r.retry, r.hasRetry = time.Duration(min(ms, maxRetry))*time.Millisecond, true
}

// dispatch ends a block; ok is false if it has no data and so is no event.
func (r *Reader) dispatch() (event Event, ok bool) {
	r.started = true
	r.lastID = r.id
	r.hasID = r.id != "" && slices.Contains(r.fields, "id")
	ok = len(r.data) > 0
	if ok {
		event = Event{ID: r.id, Name: r.name, Data: r.data[:len(r.data)-1]}
	} else if len(r.fields) > 0 {
		r.fault(NoData, fmt.Sprint(r.fields))
	}
	r.name, r.data, r.fields, r.size = "", nil, r.fields[:0], 0
	return event, ok
}

func (r *Reader) endOfStream(line []byte) {
	if r.afterCR {
		r.fault(LoneCR, "")
	}
	complete := len(r.fields) == 0 || len(r.fields) == 1 && r.fields[0] == "retry" // which needs no blank line
	if !complete || len(line) > 0 && line[0] != ':' {
		r.fault(Unfinished, "")
	}
}

func (r *Reader) fault(kind FaultKind, text string) {
	if r.OnFault != nil {
		r.OnFault(Fault{kind, text})
	}
}
