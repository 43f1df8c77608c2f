package redisbroker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/pubsub/redisbroker"
	"example.com/sse-demo/sse"
)

// A service whose replicas share their channels. The handler is the same as in a
// service of one process.
func Example() {
	broker, err := redisbroker.New(redisbroker.Options{URL: "redis://:password@localhost:6379/0", Logger: slog.Default()})
	if err == nil {
		err = broker.Start(context.Background())
	}
	if err != nil {
		fmt.Println(err) // what is wrong with the URL, or that Redis is not there
		return
	}
	defer broker.Close()
	http.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		news := broker.Subscribe([]string{"news"}, pubsub.Start{After: sse.LastEventID(r)})
		_ = sse.Serve(w, r, news, sse.Options{Heartbeat: 15 * time.Second})
	})
	http.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintln(w, "cannot publish:", broker.Err(), "subscribers:", broker.Subscribers(100))
	})
	_ = http.ListenAndServe(":8000", nil) //nolint:gosec // an example
}

// What a publisher answers to its own client if Redis did not confirm the event.
func ExampleBroker_Publish() {
	publish := func(w http.ResponseWriter, r *http.Request, broker pubsub.Broker, data []byte) {
		receipt, err := broker.Publish(r.Context(), "news", "", data)
		switch {
		case errors.Is(err, pubsub.ErrUnconfirmed):
			http.Error(w, "it may still appear", http.StatusServiceUnavailable)
		case err != nil:
			http.Error(w, "it was not published", http.StatusServiceUnavailable)
		default:
			_, _ = fmt.Fprintln(w, receipt.ID)
		}
	}
	_ = publish
}

// What all processes are to agree on goes through one journal: the first to take a
// name has it, in every process.
func ExampleJournal() {
	journal, err := redisbroker.NewJournal(redisbroker.Options{URL: "redis://localhost:6379/0", Key: "names"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer journal.Close()
	owners := map[string]pubsub.ID{}
	journal.Observe(func(id pubsub.ID, name string, _ []byte) {
		if _, taken := owners[name]; !taken {
			owners[name] = id
		}
	})
	if err := journal.Start(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	_ = journal.Publish(context.Background(), "alice", nil)
	_ = journal.Sync(context.Background()) // what others have published before is here, too
	fmt.Println(journal.Err())
}

func ExampleCheckURL() {
	for _, url := range []string{
		"redis://user:password@host:6379/0",
		"redis://host:26379/0?master_name=events&addr=host2:26379",
		"localhost:6379",
		"redis://host/0?database=1",
	} {
		fmt.Println(redisbroker.CheckURL(url))
	}
	// Output:
	// <nil>
	// <nil>
	// the scheme is "localhost"; it must be redis, rediss or unix
	// unexpected option: database
}
