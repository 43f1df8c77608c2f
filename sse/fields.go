package sse

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A Fault is something in a stream that the rules for reading forgive or ignore,
// and that a careful server does not send.
type Fault struct {
	Kind FaultKind
	Text string // the line, field or value, if that says more than Kind
}

// A FaultKind says in a few words what is wrong.
type FaultKind string

// What a [Reader] reports to its OnFault.
const (
	NotUTF8       FaultKind = "bytes that are not UTF-8"
	ByteOrderMark FaultKind = "a byte order mark"
	LoneCR        FaultKind = "a line that ends with CR"
	CRLF          FaultKind = "a line that ends with CRLF"
	NoColon       FaultKind = "a line without a colon"
	UnknownField  FaultKind = "an unknown field"
	RepeatedField FaultKind = "a field that is repeated in one block"
	EmptyID       FaultKind = "an empty id, which resets the client's"
	NulID         FaultKind = "an id with NUL, which is ignored"
	BadRetry      FaultKind = "a retry that is not a number"
	NoData        FaultKind = "a block without data, which is not an event"
	Unfinished    FaultKind = "an event without its blank line at the end of the stream"
)

func (f Fault) String() string {
	if f.Text == "" {
		return string(f.Kind)
	}
	return fmt.Sprintf("%s: %q", f.Kind, f.Text)
}

// AppendUTF8 appends src to dst with what is not UTF-8 replaced by U+FFFD, one
// for each maximal part of a broken sequence, as the UTF-8 decoder of a browser
// does (WHATWG Encoding, section 8.1.1). The standard library has no such rule:
// a conversion to runes makes one U+FFFD of each byte, bytes.ToValidUTF8 one of
// each run.
func AppendUTF8(dst, src []byte) []byte {
	if utf8.Valid(src) {
		return append(dst, src...)
	}
	for len(src) > 0 {
		r, size := utf8.DecodeRune(src)
		if r == utf8.RuneError && size == 1 { // and with it what could have become the same rune
			for size < len(src) && !utf8.FullRune(src[:size+1]) {
				size++
			}
		}
		dst = utf8.AppendRune(dst, r)
		src = src[size:]
	}
	return dst
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
