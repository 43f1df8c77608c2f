package main

import (
	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/eventloop"
)

// newStreams chooses what serves the streams. Without the event loop it returns
// nil and a function that does nothing: sse.Serve then serves each stream in the
// goroutine of its handler.
func newStreams() (serve sse.ServeFunc, closeAll func()) {
	loop := eventloop.New()
	return watchInput(loop.Serve), loop.Close
}
