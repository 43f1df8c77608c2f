// Package ssetest reads event streams in tests. The [Reader] follows the parsing
// rules of the HTML standard to the letter (WHATWG HTML, section 9.2.6), so it
// sees what a browser sees, and it notes what a careful server would never send.
package ssetest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"example.com/sse-demo/sse"
)

// An Event is one event as a browser dispatches it.
type Event struct {
	ID   string // the last event id, which stays from event to event
	Name string // "message" where the stream names none
	Data string
}

// A Reader reads the events of a stream. It gives an event as soon as its blank
// line has arrived.
type Reader struct {
	// Retry is the reconnection time that the stream set last, or 0.
	Retry time.Duration
	// Comments are those read so far, without their colon and one space.
	Comments []string
	// Faults name what was read so far that the rules forgive but no careful
	// server sends: bytes that are not UTF-8, a byte order mark, line ends other
	// than LF, unknown or repeated fields, an id that is empty or has a NUL, a
	// retry that is not a number, a block without data, an unfinished event.
	Faults []string

	in      *bufio.Reader
	started bool
	afterCR bool // a LF that comes next belongs to the line end before
	id      string
	name    string
	data    strings.Builder
	fields  []string // of the block that is being read
}

// NewReader returns a Reader of the stream in.
func NewReader(in io.Reader) *Reader {
	return &Reader{in: bufio.NewReader(in)}
}

// LastEventID is what the client would send when it reconnects now.
func (r *Reader) LastEventID() string { return r.id }

// Next returns the next event. At the end of the stream it returns io.EOF; an
// event without its blank line is dropped, as the standard says.
func (r *Reader) Next() (Event, error) {
	for {
		line, err := r.line()
		if err != nil {
			if errors.Is(err, io.EOF) && (len(r.fields) > 0 || len(line) > 0) {
				r.fault("the last event is unfinished")
			}
			return Event{}, err
		}
		if line == "" {
			if event, ok := r.dispatch(); ok {
				return event, nil
			}
			continue
		}
		r.field(line)
	}
}

// line reads up to CRLF, LF or CR. After a CR it returns at once: whether a LF
// follows shows only with the next byte, which may take its time.
func (r *Reader) line() (string, error) {
	var line []byte
	for {
		c, err := r.in.ReadByte()
		if err != nil {
			return string(line), err
		}
		skip := c == '\n' && r.afterCR
		r.afterCR = c == '\r'
		switch {
		case skip:
		case c == '\n' || c == '\r':
			if c == '\r' {
				r.fault("a line ends with CR")
			}
			return r.decode(line), nil
		default:
			line = append(line, c)
		}
	}
}

func (r *Reader) decode(line []byte) string {
	if !utf8.Valid(line) {
		r.fault("not UTF-8: %q", line)
	}
	text := string(sse.AppendUTF8(nil, line))
	if !r.started {
		r.started = true
		if rest, ok := strings.CutPrefix(text, "\ufeff"); ok {
			r.fault("a byte order mark")
			return rest
		}
	}
	return text
}

func (r *Reader) field(line string) {
	if comment, ok := strings.CutPrefix(line, ":"); ok {
		r.Comments = append(r.Comments, strings.TrimPrefix(comment, " "))
		return
	}
	name, value, colon := strings.Cut(line, ":")
	value = strings.TrimPrefix(value, " ")
	if !colon {
		r.fault("a line without a colon: %q", line)
	}
	if name != "data" && slices.Contains(r.fields, name) {
		r.fault("a second %s in one block", name)
	}
	r.fields = append(r.fields, name)
	switch name {
	case "event":
		r.name = value
	case "data":
		r.data.WriteString(value)
		r.data.WriteByte('\n')
	case "id":
		r.setID(value)
	case "retry":
		r.setRetry(value)
	default:
		r.fault("an unknown field: %q", line)
	}
}

func (r *Reader) setID(value string) {
	if value == "" {
		r.fault("an empty id, which resets the client's")
	}
	if strings.ContainsRune(value, 0) {
		r.fault("an id with NUL, which is ignored")
		return
	}
	r.id = value
}

// maxRetry is the longest delay that time.Duration holds, in ms. The standard
// sets no limit.
const maxRetry = uint64(math.MaxInt64 / time.Millisecond)

func (r *Reader) setRetry(value string) {
	ms, err := strconv.ParseUint(value, 10, 64) // in base 10: ASCII digits only
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		r.fault("a retry that is not a number: %q", value)
		return
	}
	r.Retry = time.Duration(min(ms, maxRetry)) * time.Millisecond
}

func (r *Reader) dispatch() (Event, bool) {
	event := Event{ID: r.id, Name: r.name, Data: strings.TrimSuffix(r.data.String(), "\n")}
	if event.Name == "" {
		event.Name = "message"
	}
	dispatched := r.data.Len() > 0
	if !dispatched && slices.ContainsFunc(r.fields, func(f string) bool { return f != "retry" }) {
		r.fault("a block without data, which is not an event")
	}
	r.name, r.fields = "", nil
	r.data.Reset()
	return event, dispatched
}

func (r *Reader) fault(format string, args ...any) {
	r.Faults = append(r.Faults, fmt.Sprintf(format, args...))
}
