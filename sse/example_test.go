package sse_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"

	"example.com/sse-demo/sse"
)

func ExampleEvent_Append() {
	frame, err := sse.Event{ID: "7", Name: "greeting", Data: []byte("hello\nworld")}.Append(nil)
	fmt.Printf("%s%v\n", frame, err)
	// Output:
	// id: 7
	// event: greeting
	// data: hello
	// data: world
	//
	// <nil>
}

// A clock is a source like any other: what a stream sends, after a position.
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
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		source := &clock{now: time.Unix(1763683200, 0).UTC()}
		if _, err := sse.Serve(w, r, source, sse.Options{Heartbeat: 15 * time.Second}); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})

	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/clock", nil))
	fmt.Print(w.Body)
	// Output:
	// id: 1763683200
	// data: 00:00:00
}
