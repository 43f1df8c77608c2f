// Package ssetest helps to test services that send event streams. Its [Reader] is an
// [sse.Reader] that collects what a careful server would never send, a [Network]
// connects clients and servers in memory, and [TestServe] tests another [sse.Serve].
// The rest starts and finds the programs that a test needs.
package ssetest

import (
	"io"
	"time"

	"example.com/sse-demo/sse"
)

// An Event is one event as a browser dispatches it. It can be compared with ==.
type Event struct {
	ID   string // the last event id, which stays from event to event
	Name string // "message" if the stream names none
	Data string
}

// A Reader reads the events of a stream.
type Reader struct {
	// Comments are those read so far, without their colon and one space.
	Comments []string
	// Faults are the sse.Faults read so far.
	Faults []string

	*sse.Reader
}

// NewReader returns a Reader of the stream in.
func NewReader(in io.Reader) *Reader {
	r := &Reader{Reader: sse.NewReader(in)}
	r.OnComment = func(text string) { r.Comments = append(r.Comments, text) }
	r.OnFault = func(f sse.Fault) { r.Faults = append(r.Faults, f.String()) }
	return r
}

// Next returns the next event, as [sse.Reader.Next] does.
func (r *Reader) Next() (Event, error) {
	e, err := r.Reader.Next()
	if err != nil {
		return Event{}, err
	}
	if e.Name == "" {
		e.Name = "message"
	}
	return Event{e.ID, e.Name, string(e.Data)}, nil
}

// Retry is the reconnection time that the stream set last, or 0.
func (r *Reader) Retry() time.Duration {
	delay, _ := r.Reader.Retry()
	return delay
}
