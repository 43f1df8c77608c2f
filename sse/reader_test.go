package sse_test

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"example.com/sse-demo/sse"
)

// TestMaxEvent: an event may have as many bytes as MaxEvent says, line ends not
// counted, and comments between events count for nothing.
func TestMaxEvent(t *testing.T) {
	const limit = 100
	event := "data: " + strings.Repeat("x", 40) + "\ndata: " + strings.Repeat("y", 48)
	comments := strings.Repeat(": a comment between two events\n", 100)
	for name, tt := range map[string]struct {
		stream string
		fits   bool
	}{
		"at the limit": {comments + event + "\n\n" + comments + event + "\n\n", true},
		"one beyond":   {event + "z\n\n", false},
		"no line end":  {strings.Repeat("x", 10_000), false},
		"no end":       {strings.Repeat("id: 1\n", 1000), false},
	} {
		t.Run(name, func(t *testing.T) {
			r := sse.NewReader(strings.NewReader(tt.stream))
			r.MaxEvent = limit
			_, err := r.Next()
			if err == nil {
				_, err = r.Next()
			}
			if tt.fits != (err == nil) || !tt.fits && !errors.Is(err, sse.ErrTooLong) {
				t.Error(err)
			}
		})
	}
	const usual = 1 << 20 // if none is set
	r := sse.NewReader(strings.NewReader("data:" + strings.Repeat("x", usual-5) + "\n\ndata:" + strings.Repeat("x", usual-4) + "\n\n"))
	if _, err := r.Next(); err != nil {
		t.Error(err)
	}
	if _, err := r.Next(); !errors.Is(err, sse.ErrTooLong) {
		t.Error(err)
	}
}

// TestReaderStopsAtAnError: after an event that is too long, or a read that has
// failed, Next returns the error again, and never a part of the event.
func TestReaderStopsAtAnError(t *testing.T) {
	failed := errors.New("reset")
	for name, tt := range map[string]struct {
		stream io.Reader
		want   error
	}{
		"too long":     {strings.NewReader("id: 7\ndata: a\ndata: " + strings.Repeat("x", 200) + "\n\ndata: b\n\n"), sse.ErrTooLong},
		"cut off":      {io.MultiReader(strings.NewReader("id: 7\ndata: a"), iotest.ErrReader(failed)), failed},
		"went on then": {io.MultiReader(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("data: a\n\n")))), iotest.ErrTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			r := sse.NewReader(tt.stream)
			r.MaxEvent = 100
			for range 3 {
				if e, err := r.Next(); !errors.Is(err, tt.want) {
					t.Errorf("%+v, %v", e, err)
				}
			}
			if id := r.LastEventID(); id != "" {
				t.Errorf("the last id is %q, of an event that is not complete", id)
			}
		})
	}
}

// TestReaderHasID: an event has an id of its own only if its block has one that is
// not empty.
func TestReaderHasID(t *testing.T) {
	r := sse.NewReader(strings.NewReader("data: a\n\nid: 1\ndata: b\n\ndata: c\n\nid: 1\ndata: d\n\nid\ndata: e\n\n"))
	for _, want := range []struct {
		id  string
		own bool
	}{{"", false}, {"1", true}, {"1", false}, {"1", true}, {"", false}} {
		e, err := r.Next()
		if err != nil || e.ID != want.id || r.HasID() != want.own {
			t.Errorf("%+v, own id: %v, %v; want %+v", e, r.HasID(), err, want)
		}
	}
}

// TestReaderEnd: what is lost at the end of a stream is a fault, and nothing else.
func TestReaderEnd(t *testing.T) {
	for stream, want := range map[string]bool{
		"data: a\n\n":           false,
		"data: a\n":             true,
		"data: a\n\nid: 1":      true,
		"data: a\n\nretry: 1":   true,
		"retry: 1\n":            false,
		"data: a\n\n: bye\n":    false,
		"data: a\n\n: bye":      false,
		"data: a\n\n:":          false,
		"data: a\n: bye":        true,
		"data: a\n\ndata: b\n:": true,
	} {
		unfinished := false
		for _, f := range parse(strings.NewReader(stream)).Faults {
			unfinished = unfinished || f.Kind == sse.Unfinished
		}
		if unfinished != want {
			t.Errorf("%q: %v, want %v", stream, unfinished, want)
		}
	}
}

// parsed is all that a reader has seen of a stream.
type parsed struct {
	Events   []sse.Event
	Comments []string
	Faults   []sse.Fault
	LastID   string
}

func parse(in io.Reader) (p parsed) {
	r := sse.NewReader(in)
	r.OnComment = func(text string) { p.Comments = append(p.Comments, text) }
	r.OnFault = func(f sse.Fault) { p.Faults = append(p.Faults, f) }
	for {
		e, err := r.Next()
		if err != nil {
			p.LastID = r.LastEventID()
			return p
		}
		p.Events = append(p.Events, e)
	}
}

// FuzzReader: it makes no difference where the network splits a stream.
func FuzzReader(f *testing.F) {
	for _, stream := range []string{
		"id: 1\r\ndata: a\r\n\r\n", "\ufeffdata: é漢😀\n\n", ": c\rdata\r\rid\r\n\n", "retry: 1\ndata: a\n\nda", "data: \xf0\x9f\x98\xff\n\n",
	} {
		f.Add([]byte(stream), uint(3))
	}
	f.Fuzz(func(t *testing.T, stream []byte, at uint) {
		split := int(at % uint(len(stream)+1))
		whole := parse(bytes.NewReader(stream))
		parts := parse(io.MultiReader(bytes.NewReader(stream[:split]), bytes.NewReader(stream[split:])))
		if !reflect.DeepEqual(whole, parts) {
			t.Errorf("%q split at %d: %+v, want %+v", stream, split, parts, whole)
		}
		for _, e := range whole.Events { // what was read can be sent, and is read again
			frame, err := sse.Event{ID: e.ID, Name: e.Name, Data: e.Data}.Append(nil)
			if err != nil {
				t.Fatal(err)
			}
			again := parse(bytes.NewReader(frame)).Events
			if len(again) != 1 || again[0].ID != e.ID || again[0].Name != e.Name || !bytes.Equal(again[0].Data, e.Data) {
				t.Errorf("%+v, want %+v", again, e)
			}
		}
	})
}
