package main

import (
	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/eventloop"
)

// newStreams chooses what serves the streams. Without the event loop it returns
// nil and a function that does nothing: sse.Serve then serves each stream in the
// goroutine of its handler, as it does over TLS, where no connection can be taken
// over.
func newStreams(overTLS bool) (serve sse.ServeFunc, closeAll func()) {
	if overTLS {
		return watchInput(sse.ServeInHandler), func() {}
	}
	tuneCollector()
	loop := eventloop.New()
	return watchInput(loop.Serve), loop.Close
}
