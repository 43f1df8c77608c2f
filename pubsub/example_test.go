package pubsub_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

func events(broker pubsub.Broker) http.HandlerFunc {
	options := sse.Options{Retry: 3 * time.Second, Heartbeat: 15 * time.Second, WriteTimeout: 10 * time.Second}
	return func(w http.ResponseWriter, r *http.Request) {
		news := broker.Subscribe([]string{"news"}, pubsub.Start{After: sse.LastEventID(r)})
		if err := sse.Serve(w, r, news, options); err != nil {
			http.Error(w, "streams are not possible here", http.StatusInternalServerError)
		}
	}
}

// Everything is one handler.
func ExampleMemory() {
	broker := pubsub.NewMemory(1024, 64<<20)
	server := httptest.NewServer(events(broker))
	defer server.Close()

	first, _ := broker.Publish(context.Background(), "news", "", []byte("first"))
	_, _ = broker.Publish(context.Background(), "news", "", []byte("second"))
	response, err := http.Get(server.URL + "?lastEventId=" + first.ID.String()) //nolint:noctx // an example
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = response.Body.Close() }()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if line := lines.Text(); strings.HasPrefix(line, "data:") {
			fmt.Println(line)
			return
		}
	}
	// Output:
	// data: second
}

// The frame that subscribers get has the id that the publisher gets.
func ExampleMemory_Publish() {
	broker := pubsub.NewMemory(1024, 64<<20)
	news := broker.Subscribe([]string{"news"}, pubsub.Start{})
	receipt, _ := broker.Publish(context.Background(), "news", "greeting", []byte("hello"))
	frames, _ := news.Next(nil)
	fmt.Print(strings.ReplaceAll(string(frames[0]), receipt.ID.String(), "THE-ID"))
	// Output:
	// id: THE-ID
	// event: greeting
	// data: hello
}

// following is the data of what follows the position of a subscription.
func following(s pubsub.Subscription) string {
	frames, _ := s.Next(nil)
	var texts []string
	for _, frame := range frames {
		texts = append(texts, string(sse.FrameData(frame)))
	}
	return strings.Join(texts, " ")
}

// A subscription is a position in the order of all events, so one that follows
// other channels goes on after the same id.
func ExampleMemory_Subscribe() {
	broker := pubsub.NewMemory(1024, 64<<20)
	publish := func(channel, text string) string {
		receipt, _ := broker.Publish(context.Background(), channel, "", []byte(text))
		return receipt.ID.String()
	}
	publish("news", "rain")
	seen := publish("sport", "goal")
	publish("news", "sun")
	publish("sport", "whistle")

	newest := broker.Subscribe([]string{"news", "sport"}, pubsub.Start{Replay: 2})
	defer newest.Close()
	fmt.Println(following(newest))

	back := broker.Subscribe([]string{"sport"}, pubsub.Start{After: seen})
	defer back.Close()
	fmt.Println("it begins after what was given:", back.Position() == seen)
	fmt.Println(following(back))
	fmt.Println(broker.Subscribers(100))
	// Output:
	// sun whistle
	// it begins after what was given: true
	// whistle
	// map[news:1 sport:2]
}

// The subscription says when there is something to read; wake must not block.
func ExampleSubscription_Notify() {
	broker := pubsub.NewMemory(1024, 64<<20)
	news := broker.Subscribe([]string{"news"}, pubsub.Start{})
	more := make(chan struct{}, 1)
	news.Notify(func() {
		select {
		case more <- struct{}{}:
		default: // the reader knows already
		}
	})
	receipt, _ := broker.Publish(context.Background(), "news", "", []byte("rain"))
	fmt.Println("subscribers reached:", receipt.Delivered)
	<-more
	fmt.Println(following(news))
	// Output:
	// subscribers reached: 1
	// rain
}

// A single log, with ids that count. Two readers, each at a position.
func ExampleLog() {
	log := pubsub.NewLog(100, pubsub.ID{})
	for n, text := range []string{"one", "two", "three"} {
		id := pubsub.ID{uint64(n + 1), 0}
		frame, _ := sse.Event{ID: id.String(), Data: []byte(text)}.Append(nil)
		log.Append(id, frame)
	}
	late := log.Subscribe(pubsub.Start{Replay: 1})
	defer late.Close()
	fmt.Println(following(late))
	back := log.Subscribe(pubsub.Start{After: "1-0"})
	defer back.Close()
	fmt.Println(following(back))
	// Output:
	// three
	// two three
}

// A broker whose events are kept elsewhere gives out the ids, and feeds a replica in
// this process, which its subscribers read (see package redisbroker).
func ExampleReplica() {
	replica := pubsub.NewReplica(1024, 64<<20, time.Minute, nil)
	replica.LoseBefore(pubsub.ID{1763683200000, 0}) // the order begins here
	news := replica.Subscribe([]string{"news"}, pubsub.Start{})
	delivered, _ := replica.Append(pubsub.ID{1763683200500, 0}, "news", "", []byte("rain"))
	fmt.Println("subscribers reached:", delivered, replica.Subscribers(100))
	fmt.Println(following(news))
	replica.LoseBefore(pubsub.ID{1763683209000, 0})
	fmt.Println(following(news))
	// Output:
	// subscribers reached: 1 map[news:1]
	// rain
	// {"after":"1763683200500-0","oldest":null}
}

func ExampleParseID() {
	id, ok := pubsub.ParseID("1763683200000-7")
	fmt.Println(id[0], id[1], ok, id.Compare(pubsub.ID{1763683200000, 8}))
	_, ok = pubsub.ParseID("rubbish")
	fmt.Println(ok)
	// Output:
	// 1763683200000 7 true -1
	// false
}

// The id of the next event is above the last one, even if the clock was set back.
func ExampleID_Next() {
	last := pubsub.ID{1 << 62, 7} // far in the future
	fmt.Println(last.Next().Compare(last), last.Next()[1])
	// Output:
	// 1 8
}
