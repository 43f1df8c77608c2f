package sse_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"

	"example.com/sse-demo/sse"
)

func ExampleEvent_Append() {
	frame, err := sse.Event{ID: "7", Name: "greeting", Data: []byte("hello\nworld")}.Append(nil)
	fmt.Printf("%s%v\n", frame, err)
	_, err = sse.Event{ID: "two\nlines"}.Append(nil)
	fmt.Println(err, errors.Is(err, sse.ErrInvalidField))
	// Output:
	// id: 7
	// event: greeting
	// data: hello
	// data: world
	//
	// <nil>
	// sse: invalid field: id "two\nlines" true
}

func ExampleMustFrame() {
	fmt.Printf("%q\n", sse.MustFrame(sse.Event{ID: strconv.Itoa(7), Data: []byte("hello")}))
	// Output:
	// "id: 7\ndata: hello\n\n"
}

func ExampleFrameData() {
	frame := sse.MustFrame(sse.Event{ID: "7", Data: []byte("hello\r\nworld")})
	fmt.Printf("%q\n", sse.FrameData(frame))
	// Output:
	// "hello\nworld"
}

func ExampleAppendComment() {
	fmt.Printf("%q\n", sse.AppendComment(nil, "heartbeat"))
	// Output:
	// ": heartbeat\n"
}

func ExampleAppendRetry() {
	fmt.Printf("%q\n", sse.AppendRetry(nil, 3*time.Second))
	// Output:
	// "retry: 3000\n"
}

// Events after 17 are lost; the oldest that is kept is 40.
func ExampleAppendGap() {
	frame := sse.AppendGap(nil, "17", "40")
	fmt.Printf("%q %v\n", frame, sse.IsGap(frame))
	// Output:
	// "event: gap\ndata: {\"after\":\"17\",\"oldest\":\"40\"}\n\n" true
}

// A gap is what the service reports, not an event that a publisher has named so.
func ExampleIsGap() {
	fmt.Println(sse.IsGap(sse.AppendGap(nil, "17", "")), sse.IsGap(sse.MustFrame(sse.Event{ID: "18", Name: "gap"})))
	// Output:
	// true false
}

func ExampleAppendUTF8() {
	fmt.Printf("%s\n", sse.AppendUTF8(nil, []byte("caf\xe9 au lait")))
	// Output:
	// caf� au lait
}

// Clients that lose their server at one moment return over 3 s.
func ExampleJitter() {
	delay := sse.Jitter(3 * time.Second)
	fmt.Println(delay >= 1500*time.Millisecond && delay <= 4500*time.Millisecond)
	// Output:
	// true
}

func ExampleLastEventID() {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/events?lastEventId=7", nil)
	fmt.Println(sse.LastEventID(r))
	r.Header.Set("Last-Event-ID", "8")
	fmt.Println(sse.LastEventID(r))
	// Output:
	// 7
	// 8
}

// A clock is a source that says what time it is, once.
type clock struct{ last, now time.Time }

func (c *clock) Next(frames [][]byte) ([][]byte, error) {
	if !c.now.After(c.last) {
		return frames, io.EOF
	}
	c.last = c.now
	return append(frames, sse.MustFrame(sse.Event{ID: c.Position(), Data: []byte(c.now.Format(time.TimeOnly))})), nil
}

func (c *clock) Notify(wake func()) { wake() }

func (c *clock) Position() string { return strconv.FormatInt(c.last.Unix(), 10) }

func ExampleServe() {
	options := sse.Options{Heartbeat: 15 * time.Second}
	options.Ended = func(o sse.Outcome) { fmt.Println(o.Reason, o.Events, o.Err) }
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		source := &clock{now: time.Unix(1763683200, 0).UTC()}
		if err := sse.Serve(w, r, source, options); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})

	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/clock", nil))
	fmt.Print(w.Body)
	// Output:
	// done 1 <nil>
	// id: 1763683200
	// data: 00:00:00
}

// An answer of one event.
func ExampleSourceOf() {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		busy := sse.MustFrame(sse.Event{Name: "busy", Data: []byte("come back later")})
		if err := sse.Serve(w, r, sse.SourceOf(busy), sse.Options{WriteTimeout: 10 * time.Second}); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})

	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/busy", nil))
	fmt.Print(w.Header().Get("Content-Type"), "\n", w.Body)
	// Output:
	// text/event-stream
	// event: busy
	// data: come back later
}

func ExampleReader() {
	stream := "retry: 3000\n: heartbeat\nid: 7\ndata: hello\n\nid: 8\ndata: the connection is lost he"
	r := sse.NewReader(strings.NewReader(stream))
	r.OnComment = func(text string) { fmt.Println("comment", text) }
	r.OnFault = func(f sse.Fault) { fmt.Println("fault", f) }
	for {
		event, err := r.Next()
		if err != nil {
			delay, _ := r.Retry()
			fmt.Printf("%v; resume after %s, in %v\n", err, r.LastEventID(), delay)
			return
		}
		fmt.Printf("event %s (its own: %v) %q %s\n", event.ID, r.HasID(), event.Name, event.Data)
	}
	// Output:
	// comment heartbeat
	// event 7 (its own: true) "" hello
	// fault an event without its blank line at the end of the stream
	// EOF; resume after 7, in 3s
}
