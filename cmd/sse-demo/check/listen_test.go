package check

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestRefusedReturn: the stream ends, and the client that comes back gets another
// status than 200.
func TestRefusedReturn(t *testing.T) {
	for _, tt := range []struct {
		name       string
		status     int
		change     func(e *endpoint)
		want, says string // of resume
	}{
		{"500", 500, func(*endpoint) {}, "resume=fail", `after id "28", when the stream had ended, got no stream: 500 Internal Server Error`},
		{"404", 404, func(*endpoint) {}, "resume=fail", "404 Not Found"},
		{"no stream", 200, func(*endpoint) {}, "resume=fail", `got no stream: 200 OK, Content-Type ""`},
		{"204", 204, func(*endpoint) {}, "", "gave what follows it"},
		{"500, without ids", 500, func(e *endpoint) {
			e.frame = func(int) string { return "data: x\n\n" }
		}, "ids=warn resume=skip", "the events have no ids; when the stream had ended and the client came back, it got 500"},
		{"500, few events", 500, func(e *endpoint) { e.age = 3500 * time.Millisecond }, "delivery=skip resume=skip", "3 events seen, too few to judge; when"},
		{"204, few events", 204, func(e *endpoint) { e.age = 3500 * time.Millisecond }, "delivery=skip resume=skip", "3 events seen, too few to judge"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := goodEndpoint()
			e.age = 8 * time.Second
			var first time.Time
			e.before = func(w http.ResponseWriter, _ *http.Request) bool {
				if first.IsZero() {
					first = time.Now()
				}
				if time.Since(first) < 5500*time.Millisecond { // all but the client that comes back
					return false
				}
				w.WriteHeader(tt.status)
				return true
			}
			tt.change(e)
			report, _ := try(t, e, Options{})
			compare(t, report, tt.want)
			seen := report.Results[8].Seen
			if !strings.Contains(seen, tt.says) || tt.status == 204 && strings.Contains(seen, "204") {
				t.Error(seen)
			}
		})
	}
}

// TestLastID: the id that a client comes back with is the standard's.
func TestLastID(t *testing.T) {
	for stream, want := range map[string]string{
		"id: 1\ndata: x\n\n":                     "1",
		"id: 1\ndata: x\n\ndata: y\n\n":          "1",
		"id: 1\ndata: x\n\nid: 2\n\n":            "2",
		"id: 1\ndata: x\n\nid: 2\ndata: cut off": "1",
		"id: 1\ndata: x\n\nid\ndata: y\n\n":      "",
		"id: 1\ndata: x\n\nid: \x01\n\n":         "1", // no header can have it
		"id: 3\n\n":                              "3",
	} {
		var r record
		r.read(t.Context(), io.NopCloser(strings.NewReader(stream)), "")
		if got := r.now().lastID; got != want {
			t.Errorf("%q: %q, want %q", stream, got, want)
		}
	}
}

// TestShortListening: however short the listening is, it lasts until the next byte.
func TestShortListening(t *testing.T) {
	e := goodEndpoint()
	e.delay = 3 * time.Second
	report, took := try(t, e, Options{For: time.Nanosecond})
	if r := report.Results[2]; r.Result != isOK || r.Seen != "the first byte came 3.0 s after the request" && r.Seen != "the first byte came 3 s after the request" {
		t.Errorf("%+v after %v", r, took)
	}
}
