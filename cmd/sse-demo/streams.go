package main

import (
	"example.com/sse-demo/routes"
	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/eventloop"
)

// newStreams chooses what serves the streams: the event loop or, over TLS, where no
// connection can be taken over, sse.Serve in the goroutine of each handler. closeAll
// cuts the streams of the event loop that are still open.
func newStreams(overTLS bool) (serve routes.Serve, closeAll func()) {
	if overTLS {
		return watchInput(sse.Serve), func() {}
	}
	tuneCollector()
	loop := eventloop.New()
	return watchInput(loop.Serve), loop.Close
}
