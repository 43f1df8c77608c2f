package main

import (
	"net/http"
	"os"
	"runtime/debug"
)

// This file and listen_linux.go tune the process. Nothing depends on it: each part
// can be deleted, and costs what its comment says.

// gcPercent is how much the heap may grow before it is collected, unless GOGC is
// set. With each connection that is taken over from net/http go 8 kB of buffers,
// which do not return to its pools: at the default of 100 the collector would take
// an eighth of the time of short streams.
const gcPercent = 200

func tuneCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

// maxConcurrentStreams is how many streams one HTTP/2 connection may have open; a
// browser has one connection for all its tabs.
const maxConcurrentStreams = 100

// http2Limits bounds what one HTTP/2 connection holds: requests that were reset
// stay in memory until their handlers begin, four times as many as may run, and
// bodies may be buffered. net/http's limits are 250 streams and 1 MiB.
func http2Limits() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams:          maxConcurrentStreams,
		MaxReceiveBufferPerConnection: 128 << 10,
		MaxReceiveBufferPerStream:     64 << 10,
	}
}
