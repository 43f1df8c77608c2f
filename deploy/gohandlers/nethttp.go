// Package gohandlers has the handlers of docs/copy.md for the routers of other
// projects, in a module of its own, so that the service does not depend on them.
package gohandlers

import (
	"net/http"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

// netHTTP is the handler of cmd/minimal.
func netHTTP(broker pubsub.Broker, options sse.Options) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		news := broker.Subscribe([]string{"news"}, pubsub.Start{After: sse.LastEventID(r), Replay: 10})
		if err := sse.Serve(w, r, news, options); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}
}
