package ssetest_test

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"example.com/sse-demo/sse/ssetest"
)

// TestReader holds the examples of WHATWG HTML 9.2.6 and 9.2.7 and the corners
// of its rules.
func TestReader(t *testing.T) {
	type event = ssetest.Event
	for _, tt := range []struct {
		name, stream string
		want         []event
		id           string
		retry        time.Duration
		faults       int
	}{
		{"stocks", "data: YHOO\ndata: +2\ndata: 10\n\n", []event{{"", "message", "YHOO\n+2\n10"}}, "", 0, 0},
		{
			"four blocks", ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
			[]event{{"1", "message", "first event"}, {"", "message", "second event"}, {"", "message", " third event"}},
			"", 0, 1, // an empty id
		},
		{"empty data", "data\n\ndata\ndata\n\ndata:", []event{{"", "message", ""}, {"", "message", "\n"}}, "", 0, 1},
		{"one space goes", "data:test\n\ndata: test\n\n", []event{{"", "message", "test"}, {"", "message", "test"}}, "", 0, 0},
		{"line ends", "data: a\r\rdata: b\r\n\r\ndata: c\n\n", []event{{"", "message", "a"}, {"", "message", "b"}, {"", "message", "c"}}, "", 0, 2},
		{"byte order mark", "\ufeffdata: a\n\n", []event{{"", "message", "a"}}, "", 0, 1},
		{"a second byte order mark is a field name", "\ufeff\ufeffdata: a\n\n", nil, "", 0, 3},
		{"a later byte order mark is data", "data: a\n\ndata: \ufeffb\n\n", []event{{"", "message", "a"}, {"", "message", "\ufeffb"}}, "", 0, 0},
		{"the id stays", "id: 1\ndata: a\n\ndata: b\n\n", []event{{"1", "message", "a"}, {"1", "message", "b"}}, "1", 0, 0},
		{"the name does not", "event: x\ndata: a\n\ndata: b\n\n", []event{{"", "x", "a"}, {"", "message", "b"}}, "", 0, 0},
		{"an id alone counts", "id: 1\n\n", nil, "1", 0, 1},
		{"a name alone does not", "event: x\n\ndata: a\n\n", []event{{"", "message", "a"}}, "", 0, 1},
		{"id with NUL", "id: 1\ndata: a\n\nid: 2\x00\ndata: b\n\n", []event{{"1", "message", "a"}, {"1", "message", "b"}}, "1", 0, 1},
		{"id reset", "id: 1\ndata: a\n\nid:\ndata: b\n\n", []event{{"1", "message", "a"}, {"", "message", "b"}}, "", 0, 1},
		{"retry", "retry: 3000\ndata: a\n\n", []event{{"", "message", "a"}}, "", 3 * time.Second, 0},
		{"retry alone", "retry: 3000\n\n", nil, "", 3 * time.Second, 1},
		{"retry at the end", "retry: 3000\n", nil, "", 3 * time.Second, 0},
		{"retry with rubbish", "retry: 3000\nretry: 1x\n\nretry: -1\n\nretry:\n\nretry: ١\n\n", nil, "", 3 * time.Second, 8},
		{"retry with a huge number and rubbish", "retry: 99999999999999999999 s\n", nil, "", 0, 1},
		{"retry beyond all bounds", "retry: 99999999999999999999\n", nil, "", 9223372036854 * time.Millisecond, 0},
		{"unknown fields", "dat: a\nDATA: b\ndata : c\ndata: d\n\n", []event{{"", "message", "d"}}, "", 0, 3},
		{"colon in data", "data: a: b\n\n", []event{{"", "message", "a: b"}}, "", 0, 0},
		{"not UTF-8", "data: a\xe2\x82b\xff\n\n", []event{{"", "message", "a\ufffdb\ufffd"}}, "", 0, 1},
		{"unfinished block", "data: a\n\nid: 2\ndata: b\n", []event{{"", "message", "a"}}, "", 0, 1},
		{"unfinished line", "data: a\n\ndata: b", []event{{"", "message", "a"}}, "", 0, 1},
		{"two names", "event: a\nevent: b\ndata: x\n\n", []event{{"", "b", "x"}}, "", 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := ssetest.NewReader(iotest.OneByteReader(strings.NewReader(tt.stream)))
			var got []event
			for {
				e, err := r.Next()
				if err != nil {
					if !errors.Is(err, io.EOF) {
						t.Fatal(err)
					}
					break
				}
				got = append(got, e)
			}
			if !reflect.DeepEqual(got, tt.want) || r.LastEventID() != tt.id || r.Retry() != tt.retry {
				t.Errorf("%+v, id %q, retry %v", got, r.LastEventID(), r.Retry())
			}
			if len(r.Faults) != tt.faults {
				t.Errorf("%d faults, want %d: %q", len(r.Faults), tt.faults, r.Faults)
			}
		})
	}
}

// TestReaderDoesNotWait proves that an event which ends with CR CR is given
// before the next byte of the stream has come.
func TestReaderDoesNotWait(t *testing.T) {
	in, out := io.Pipe()
	go func() { _, _ = io.WriteString(out, "data: a\r\r") }()
	r := ssetest.NewReader(in)
	if e, err := r.Next(); err != nil || e.Data != "a" {
		t.Fatal(e, err)
	}
	go func() {
		_, _ = io.WriteString(out, "\ndata: b\n\n: over")
		_ = out.Close()
	}()
	if e, err := r.Next(); err != nil || e.Data != "b" {
		t.Fatal(e, err)
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if len(r.Comments) != 0 {
		t.Errorf("an unfinished comment counts: %q", r.Comments)
	}
}
