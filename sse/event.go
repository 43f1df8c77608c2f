package sse

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// ErrInvalidField is the cause when an id or an event name holds what its field cannot
// carry.
var ErrInvalidField = errors.New("sse: invalid field")

// An Event is one message of a stream.
type Event struct {
	// ID becomes the client's last event id. Empty means no id field: an id
	// field that is sent empty would make the client forget the one it has.
	// It must be UTF-8 without CR, LF and NUL.
	ID string

	// Name is the event type. Empty means no event field; the client then sees
	// a "message". It must be UTF-8 without CR and LF.
	Name string

	// Data is the payload, possibly empty. CRLF, CR and LF each separate lines,
	// and the client sees LF for all of them. Bytes that are not UTF-8 reach
	// it as U+FFFD.
	Data []byte
}

// Append appends the frame of e to dst: its fields and the blank line that
// dispatches them. It does not allocate if dst has room. On an error, which
// wraps [ErrInvalidField], dst is returned as it was.
func (e Event) Append(dst []byte) ([]byte, error) {
	if !isValue(e.ID, "\n\r\x00") {
		return dst, fmt.Errorf("%w: id %q", ErrInvalidField, e.ID)
	}
	if !isValue(e.Name, "\n\r") {
		return dst, fmt.Errorf("%w: event %q", ErrInvalidField, e.Name)
	}
	if e.ID != "" {
		dst = append(dst, "id: "...)
		dst = append(dst, e.ID...)
		dst = append(dst, '\n')
	}
	if e.Name != "" {
		dst = append(dst, "event: "...)
		dst = append(dst, e.Name...)
		dst = append(dst, '\n')
	}
	if bytes.IndexByte(e.Data, '\r') < 0 && bytes.IndexByte(e.Data, '\n') < 0 { // as most payloads are
		dst = append(dst, "data: "...)
		dst = append(dst, e.Data...)
		return append(dst, "\n\n"...), nil
	}
	dst = appendLines(dst, "data: ", e.Data)
	return append(dst, '\n'), nil
}

// isValue reports whether s is UTF-8 without the forbidden bytes. Most values are
// short and plain: one pass over them costs less than a search for each byte.
func isValue(s, forbidden string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= utf8.RuneSelf {
			return !strings.ContainsAny(s, forbidden) && utf8.ValidString(s)
		}
	}
	return true
}

// AppendComment appends text as a comment, which clients ignore. No blank line
// follows it: a blank line ends a block, and some clients take a block without
// data, such as one of a retry field alone, for an event.
func AppendComment(dst []byte, text string) []byte {
	return appendLines(dst, ": ", []byte(text))
}

// AppendRetry appends the field that sets how long a client waits before it
// reconnects, in whole milliseconds, without a blank line (see [AppendComment]).
func AppendRetry(dst []byte, delay time.Duration) []byte {
	dst = append(dst, "retry: "...)
	dst = strconv.AppendInt(dst, max(delay.Milliseconds(), 0), 10)
	return append(dst, '\n')
}

var cr, lf = []byte("\r"), []byte("\n")

// appendLines appends each line of data behind the prefix.
func appendLines(dst []byte, prefix string, data []byte) []byte {
	for more := true; more; {
		var line []byte
		line, data, more = bytes.Cut(data, lf)
		if more {
			line = bytes.TrimSuffix(line, cr) // CRLF is one line end
		}
		for part := range bytes.SplitSeq(line, cr) {
			dst = append(dst, prefix...)
			dst = append(dst, part...)
			dst = append(dst, '\n')
		}
	}
	return dst
}
