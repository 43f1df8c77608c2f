// serve: this service with sse.Serve, in a goroutine for each stream, instead of the
// event loop, and with Go's own settings of the garbage collector.
package main

import (
	"time"

	"github.com/rs/zerolog"

	"example.com/sse-demo/bench/peers/listen"
	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/routes"
	"example.com/sse-demo/routes/job"
	"example.com/sse-demo/sse"
)

func main() {
	listen.AndServe(routes.New(routes.Config{
		Stream:     sse.Options{Retry: 3 * time.Second, Heartbeat: 15 * time.Second, WriteTimeout: 10 * time.Second},
		MaxStreams: 60_000,
		Logger:     zerolog.Nop(),
		Broker:     pubsub.NewMemory(1024, 64<<20),
		Jobs:       job.NewManager(zerolog.Nop(), job.NewJournal()),
	}))
}
