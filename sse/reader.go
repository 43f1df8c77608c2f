package sse

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// ErrTooLong is the error of a [Reader] whose stream sends an event that is
// longer than Reader.MaxEvent.
var ErrTooLong = errors.New("sse: the event is too long")

// A Reader decodes an event stream by the rules of WHATWG HTML, section 9.2.6,
// so it sees what a browser sees. It returns an event as soon as its blank line
// has arrived. Set its fields before the first call of Next.
type Reader struct {
	// MaxEvent is how many bytes one event may have, without its line ends; 0
	// means 1 MiB.
	MaxEvent int
	// OnComment, if not nil, is called with each comment, without its colon and
	// one space.
	OnComment func(text string)
	// OnFault, if not nil, is called with everything that the rules forgive or
	// ignore, and that a careful server does not send.
	OnFault func(Fault)

	in      *bufio.Reader
	started bool // the first line was read
	afterCR bool // a LF that comes next belongs to the line end before
	line    []byte
	err     error // the first of Next

	block    block // that is being read
	id       string
	lastID   string // of the last complete block
	hasID    bool   // the last event has an id field that is not empty
	retry    time.Duration
	hasRetry bool
}

// A block is the lines up to a blank line, as far as they were read.
type block struct {
	size  int // bytes
	name  string
	data  []byte
	hasID bool
	field string // the name of its first field, of those that need a blank line if it has any
}

// NewReader returns a Reader of the stream in.
func NewReader(in io.Reader) *Reader { return &Reader{in: bufio.NewReader(in)} }

// LastEventID is what a client would send if it reconnected now: the id of the
// last complete block, which an event that is cut off does not change.
func (r *Reader) LastEventID() string { return r.lastID }

// HasID reports whether the event that Next returned last has an id field that is
// not empty. If not, its ID is from an earlier event.
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
		if line = r.decode(line); len(line) > 0 {
			r.readField(line)
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
	limit := cmp.Or(max(r.MaxEvent, 0), 1<<20)
	for {
		c, err := r.in.ReadByte()
		if err != nil {
			return r.line, err
		}
		if r.afterCR {
			r.afterCR = false
			if c == '\n' {
				continue
			}
			r.fault(LoneCR, "")
		}
		if r.afterCR = c == '\r'; r.afterCR || c == '\n' {
			return r.line, nil
		}
		if r.block.size++; r.block.size > limit {
			return r.line, fmt.Errorf("%w: over %d bytes", ErrTooLong, limit)
		}
		r.line = append(r.line, c)
	}
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

func (r *Reader) readField(line []byte) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "":
		r.readComment(value)
		return
	case "event":
		r.block.name = string(value)
	case "data":
		r.block.data = append(append(r.block.data, value...), '\n')
	case "id":
		r.setID(value)
	case "retry":
		r.setRetry(string(value))
	default:
		r.fault(UnknownField, string(line))
	}
	if r.block.field == "" || r.block.field == "retry" {
		r.block.field = string(name)
	}
}

// readComment lets a stream send any number of comments between two events.
func (r *Reader) readComment(text []byte) {
	if r.OnComment != nil {
		r.OnComment(string(text))
	}
	if r.block.field == "" {
		r.block.size = 0
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
	r.id, r.block.hasID = string(value), len(value) > 0
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
	b := r.block
	r.block, r.lastID, r.hasID = block{}, r.id, b.hasID
	if len(b.data) > 0 {
		return Event{ID: r.id, Name: b.name, Data: b.data[:len(b.data)-1]}, true
	}
	if b.field != "" {
		r.fault(NoData, b.field)
	}
	return Event{}, false
}

func (r *Reader) endOfStream(line []byte) {
	if r.afterCR {
		r.fault(LoneCR, "")
	}
	isOpen := r.block.field != "" && r.block.field != "retry"
	if isOpen || len(line) > 0 && line[0] != ':' {
		r.fault(Unfinished, "")
	}
}

func (r *Reader) fault(kind FaultKind, text string) {
	if r.OnFault != nil {
		r.OnFault(Fault{kind, text})
	}
}
