package sse

import "fmt"

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
