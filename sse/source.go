package sse

import (
	"io"
	"net/http"
	"net/url"
	"strings"
)

// A Source is a position in something that goes on: what a stream sends. One
// goroutine at a time uses it. It may have two more methods:
//
//   - Close() or Close() error is called when the stream has ended.
//   - Behind() bool reports whether the source has yet to give something of what was
//     there when it was opened. A long poll goes on until it has not (see
//     Options.PollUntil). A source without the method gives all of that in its first
//     batch. If Next has returned nothing and the source is behind, it calls wake when
//     either changes.
type Source interface {
	// Position is the id after which the source begins, as an Event.ID, or "". It is
	// the response header Last-Event-ID: a client that reads headers, which EventSource
	// does not, resumes there if it is cut off before its first event. It is called
	// once, first.
	Position() string
	// Notify has the source call wake, from any goroutine, when there may be more
	// than Next has returned: at once, if there already is. It is called once, possibly
	// after Next. Wake may be called at any time, also within Notify, twice, and when
	// the stream has ended. It does not block, and does not use the source.
	Notify(wake func())
	// Next appends to frames what follows the position, and moves on: one frame, or
	// a batch that may be held in memory. It is called until it returns frames as they
	// are, each time after the batch before was sent, and then again after wake. It must
	// not wait, neither for a disk nor for a lock that is held while something else
	// waits: the goroutine may serve other streams, too. io.EOF, possibly with the last
	// frames, ends the stream; so does any other error, as a failure. A client then
	// reconnects: answer 204 instead of calling Serve if there is no more for it.
	Next(frames [][]byte) ([][]byte, error)
}

// SourceOf returns a source that has these frames, and then ends.
func SourceOf(frames ...[]byte) Source { return fixed(frames) }

type fixed [][]byte

func (f fixed) Position() string { return "" }

func (f fixed) Notify(wake func()) { wake() }

func (f fixed) Next(frames [][]byte) ([][]byte, error) { return append(frames, f...), io.EOF }

// LastEventID is the id of the last event that a returning client has, or "":
// the Last-Event-ID header, which EventSource sends when it reconnects, or the
// query parameter lastEventId for clients that cannot set a header. The header
// wins.
func LastEventID(r *http.Request) string {
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		return id
	}
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		name, text, _ := strings.Cut(pair, "=")
		if name, _ = url.QueryUnescape(name); name == "lastEventId" {
			if id, err := url.QueryUnescape(text); err == nil {
				return id
			}
			return text // it is no id, so a gap follows
		}
	}
	return ""
}
