// Package check tries an SSE endpoint, through whatever is in between, and says
// what its clients would suffer.
//
// [Run] opens the stream and listens to it as a client does, for Options.For. A few
// more connections beside it, the probes, ask what one connection cannot show: what
// a client that returns gets, or one that accepts gzip. One function for each check
// then judges what was seen; the variable checks lists them.
//
// Without Options.Data it sends GET, HEAD and OPTIONS, and never a body; with it,
// that one request and no probe. Whatever the endpoint sends, time and memory stay
// bounded: see the constants in run.go, client.go and record.go.
package check
