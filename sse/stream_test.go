package sse_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/sse-demo/sse"
)

// recorder is a ResponseWriter that notes what is done with it.
type recorder struct {
	header http.Header
	did    []string
	fail   string // the call that fails
	err    error
	delay  time.Duration // of a call that fails
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) do(what string) error {
	r.did = append(r.did, what)
	if name, _, _ := strings.Cut(what, " "); name == r.fail {
		<-time.After(r.delay)
		return r.err
	}
	return nil
}

func (r *recorder) WriteHeader(status int)      { _ = r.do(fmt.Sprint("head ", status)) }
func (r *recorder) FlushError() error           { return r.do("flush") }
func (r *recorder) Write(p []byte) (int, error) { return len(p), r.do(fmt.Sprintf("write %q", p)) }

func (r *recorder) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		return r.do("deadline none")
	}
	return r.do("deadline " + time.Until(t).String())
}

func (r *recorder) expect(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(r.did, want) {
		t.Errorf("%q, want %q", r.did, want)
	}
	r.did = nil
}

// TestSendFlushesOnceAndClearsItsDeadline: however many frames there are.
func TestSendFlushesOnceAndClearsItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{header: http.Header{}}
		s, err := sse.Open(r, sse.Options{WriteTimeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		r.expect(t, "head 200", "flush", "deadline none")
		if err := s.Send([]byte("a"), []byte("b"), nil, []byte("c")); err != nil {
			t.Fatal(err)
		}
		r.expect(t, "deadline 10s", `write "a"`, `write "b"`, `write "c"`, "flush", "deadline none")
		if s.Written() != 3 {
			t.Errorf("%d bytes", s.Written())
		}
	})
}

// TestLargeFramesGetFreshDeadlines, so that a slow line is not cut off while it
// takes bytes.
func TestLargeFramesGetFreshDeadlines(t *testing.T) {
	r := &recorder{header: http.Header{}}
	s, err := sse.Open(r, sse.Options{WriteTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	r.did = nil
	if err := s.Send(make([]byte, 10_000)); err != nil {
		t.Fatal(err)
	}
	deadlines := 0
	for _, did := range r.did {
		if strings.HasPrefix(did, "deadline") {
			deadlines++
		}
	}
	if deadlines != 4 || s.Written() != 10_000 { // one for each 4 KiB, and none in the end
		t.Errorf("%d deadlines", deadlines)
	}
}

func TestErrorsMeanThatTheClientIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken pipe")
		for _, call := range []string{"write", "flush", "deadline"} {
			s, err := sse.Open(&recorder{header: http.Header{}, fail: call, err: broken}, sse.Options{WriteTimeout: time.Second})
			if err == nil {
				err = s.Send([]byte("x"))
			}
			if !errors.Is(err, broken) {
				t.Errorf("%s: %v", call, err)
			}
			// HTTP/2 says nothing of deadlines when one has passed.
			s, err = sse.Open(&recorder{header: http.Header{}, fail: call, err: broken, delay: time.Second}, sse.Options{WriteTimeout: time.Second})
			if err == nil {
				err = s.Send([]byte("x"))
			}
			if call == "write" && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s after the deadline: %v", call, err)
			}
		}
	})
}

// TestWritersOfTests: no deadlines is well, no flushing is not.
func TestWritersOfTests(t *testing.T) {
	w := httptest.NewRecorder()
	if _, err := sse.Open(w, sse.Options{Retry: time.Second, WriteTimeout: time.Second}); err != nil {
		t.Error(err)
	}
	if !w.Flushed || !strings.HasPrefix(w.Body.String(), "retry: ") {
		t.Errorf("%q", w.Body)
	}
	if _, err := sse.Open(struct{ http.ResponseWriter }{w}, sse.Options{}); !errors.Is(err, http.ErrNotSupported) {
		t.Error("a writer that cannot flush:", err)
	}
}

func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{header: http.Header{}}
		s, err := sse.Open(r, sse.Options{Heartbeat: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		event := time.After(4 * time.Second)
		for _, due := range []time.Duration{14, 24} {
			for r.did = nil; !slices.Contains(r.did, `write ": heartbeat\n\n"`); {
				select {
				case <-event:
					err = s.Send([]byte("x"))
				case <-s.HeartbeatDue():
					err = s.Heartbeat()
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if got := time.Since(began); got != due*time.Second {
				t.Errorf("a heartbeat after %v, want %d s", got, due)
			}
		}
	})
	s, err := sse.Open(httptest.NewRecorder(), sse.Options{})
	if err != nil || s.HeartbeatDue() != nil {
		t.Error("a heartbeat that nobody asked for", err)
	}
}

func TestJitter(t *testing.T) {
	const base = 1000
	seen := map[time.Duration]bool{}
	for range 100 * base {
		d := sse.Jitter(base)
		if d < base/2 || d > base+base/2 {
			t.Fatal(d)
		}
		seen[d] = true
	}
	if len(seen) < base {
		t.Errorf("only %d different delays", len(seen))
	}
}

func TestLastEventID(t *testing.T) {
	for _, tt := range []struct{ header, query, want string }{
		{"", "", ""},
		{"1-2", "", "1-2"},
		{"", "lastEventId=3-4", "3-4"},
		{"1-2", "lastEventId=3-4", "1-2"},
		{"", "lastEventId=", ""},
		{"", "lastEventId=a%20b", "a b"},
	} {
		r := &http.Request{Header: http.Header{}, URL: &url.URL{RawQuery: tt.query}}
		if tt.header != "" {
			r.Header.Set("Last-Event-ID", tt.header)
		}
		if got := sse.LastEventID(r); got != tt.want {
			t.Errorf("%+v: %q", tt, got)
		}
	}
}
