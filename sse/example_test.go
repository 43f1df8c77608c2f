package sse_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/labstack/echo/v4"

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

// A clock, with net/http alone.
func ExampleOpen() {
	http.HandleFunc("GET /clock", func(w http.ResponseWriter, r *http.Request) {
		stream, err := sse.Open(w, sse.Options{Retry: 3 * time.Second, Heartbeat: 15 * time.Second, WriteTimeout: 10 * time.Second})
		tick := time.NewTicker(time.Minute)
		defer tick.Stop()
		for err == nil {
			select {
			case <-r.Context().Done():
				return
			case <-stream.HeartbeatDue():
				err = stream.Heartbeat()
			case now := <-tick.C:
				frame, _ := sse.Event{Data: now.AppendFormat(nil, time.RFC3339)}.Append(nil)
				err = stream.Send(frame)
			}
		}
	})
}

// With Echo, give Open the writer below Echo's own, whose Flush hides errors.
func ExampleOpen_echo() {
	e := echo.New()
	e.GET("/greeting", func(c echo.Context) error {
		stream, err := sse.Open(c.Response().Writer, sse.Options{})
		if err != nil {
			return err
		}
		frame, err := sse.Event{ID: "1", Data: []byte("hello")}.Append(nil)
		if err != nil {
			return err
		}
		return stream.Send(frame)
	})

	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/greeting", nil))
	fmt.Print(w.Body)
	// Output:
	// id: 1
	// data: hello
}

// The clock for more clients than handlers could carry: one goroutine writes to
// all of them, and never waits. Who cannot take an event is cut off here;
// routes/sweeper.go gives them time.
func ExampleTakeOver() {
	joined := make(chan *sse.Stream)
	go func() {
		streams := map[*sse.Stream]bool{}
		var buffer sse.Buffer
		tick := time.NewTicker(time.Second)
		for {
			select {
			case stream := <-joined:
				streams[stream] = true
			case now := <-tick.C:
				frame, _ := sse.Event{Data: now.AppendFormat(nil, time.RFC3339)}.Append(nil)
				for stream := range streams {
					if err := stream.Try(&buffer, frame); err != nil {
						stream.Close()
						delete(streams, stream)
					}
				}
			}
		}
	}()
	http.HandleFunc("GET /clocks", func(w http.ResponseWriter, r *http.Request) {
		stream, err := sse.TakeOver(w, r, sse.Options{Retry: 3 * time.Second})
		if errors.Is(err, errors.ErrUnsupported) {
			http.Error(w, "HTTP/1.1 without TLS only; see Open for the rest", http.StatusHTTPVersionNotSupported)
		}
		if err != nil {
			return
		}
		joined <- stream
		go func() {
			if stream.AwaitClient() {
				stream.Close() // the next Try fails
			}
		}()
	})
}
