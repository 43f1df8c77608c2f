package pubsub_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/rs/zerolog"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/ssetest"
)

func events(broker pubsub.Broker) echo.HandlerFunc {
	options := sse.Options{Retry: 3 * time.Second, Heartbeat: 15 * time.Second, WriteTimeout: 10 * time.Second}
	return func(c echo.Context) error {
		news := broker.Subscribe([]string{"news"}, pubsub.Start{After: sse.LastEventID(c.Request())})
		defer news.Close()
		_, err := sse.Serve(c.Response().Writer, c.Request(), news, options) // not c.Response(), whose Flush hides errors
		return err
	}
}

// With Echo, everything is one handler.
func ExampleMemory_echo() {
	broker := pubsub.NewMemory(1024, 64<<20)
	e := echo.New()
	e.GET("/events", events(broker))
	server := httptest.NewServer(e)
	defer server.Close()

	first, _ := broker.Publish(context.Background(), "news", "", []byte("first"))
	_, _ = broker.Publish(context.Background(), "news", "", []byte("second"))
	response, err := http.Get(server.URL + "/events?lastEventId=" + first.ID.String()) //nolint:noctx // an example
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = response.Body.Close() }()
	event, err := ssetest.NewReader(response.Body).Next()
	fmt.Println(event.Data, err)
	// Output:
	// second <nil>
}

// A subscriber is a position in a log. What it reads was encoded once, when it
// was published.
func ExampleMemory() {
	broker := pubsub.NewMemory(1024, 64<<20)
	subscription := broker.Subscribe([]string{"news"}, pubsub.Start{})
	defer subscription.Close()

	receipt, err := broker.Publish(context.Background(), "news", "greeting", []byte(`{"msg":"hello"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("reached:", receipt.Delivered)

	<-subscription.Ready()
	frames, _ := subscription.Next(nil)
	for _, frame := range frames {
		fmt.Print(string(frame[len("id: ")+len(receipt.ID.String())+1:])) // without the id, which is the time
	}
	// Output:
	// reached: 1
	// event: greeting
	// data: {"msg":"hello"}
}

// A source of its own, here with ids that count: whoever comes late or back is a
// cursor.
func ExampleLog() {
	log := pubsub.NewLog(100, 0, pubsub.ID{})
	for n, text := range []string{"one", "two", "three"} {
		id := pubsub.ID{uint64(n + 1), 0}
		frame, _ := sse.Event{ID: id.String(), Data: []byte(text)}.Append(nil)
		log.Append(id, frame)
	}
	late := log.Subscribe(pubsub.Start{Replay: 1})
	defer late.Close()
	back := log.Subscribe(pubsub.Start{After: "1-0"})
	defer back.Close()
	for _, cursor := range []*pubsub.Subscription{late, back} {
		frames, _ := cursor.Next(nil)
		fmt.Printf("%q\n", frames)
	}
	// Output:
	// ["id: 3-0\ndata: three\n\n"]
	// ["id: 2-0\ndata: two\n\n" "id: 3-0\ndata: three\n\n"]
}

// With Redis, the same handlers serve any number of replicas.
func ExampleNewRedis() {
	broker, err := pubsub.NewRedis("redis://localhost:6379/0", 1024, 64<<20, zerolog.Nop())
	if err == nil {
		err = broker.Start(context.Background())
	}
	if err != nil {
		fmt.Println(err) // it says what is wrong with the address, or that Redis is not there
		return
	}
	defer broker.Close()
	e := echo.New()
	e.GET("/events", events(broker))
	_ = e.Start(":8000")
}
