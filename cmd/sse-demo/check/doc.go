// Package check tries an SSE endpoint, through whatever is in between, and says
// what its clients would suffer.
//
// [Run] opens the stream and listens to it as a client does, for Options.For. A
// few more connections beside it, the probes, ask what one connection cannot
// show: what a client that returns gets, or one that accepts gzip. What was seen
// is then judged by one function a check; see the variable checks for the list.
//
// It sends GET, HEAD and OPTIONS, and never a body. Whatever the endpoint sends,
// time and memory stay bounded: see the constants in limits.go.
package check
