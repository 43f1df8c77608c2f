package sse

import (
	"fmt"
	"unicode/utf8"
)

// A Fault is something in a stream that the rules for reading forgive or ignore,
// and that a careful server does not send.
type Fault struct {
	Kind FaultKind
	Text string // the line, field or value, if Kind alone is not enough
}

// A FaultKind names what is wrong.
type FaultKind string

// What a [Reader] reports to its OnFault.
const (
	NotUTF8       FaultKind = "bytes that are not UTF-8"
	ByteOrderMark FaultKind = "a byte order mark"
	LoneCR        FaultKind = "a line that ends with CR"
	UnknownField  FaultKind = "an unknown field"
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
