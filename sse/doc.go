// Package sse writes Server-Sent Events, the text/event-stream format of the
// HTML standard (WHATWG HTML, section 9.2). It uses the standard library only
// and can be copied into another project as it is.
//
// # Events and frames
//
// An [Event] is what a program wants to say; its frame is the bytes that say it
// on the wire. [Event.Append] is the only encoder. A frame is written once and
// sent to any number of clients, so encode when you publish, not when you
// deliver.
//
// # Streams
//
// [Open] turns an HTTP response into a [Stream]: it sends the headers that keep
// proxies from buffering, a jittered retry field, and flushes. After that only
// the goroutine of the request may use it. [Stream.Send] writes any number of
// frames with one flush. Every error means that the client is gone: return from
// the handler.
//
// # Many streams
//
// A handler's goroutine and net/http's buffers weigh some 20 kB a stream. For
// plain HTTP/1.1, [TakeOver] leaves only the connection: [Stream.Try] writes to it
// without ever waiting, so that one goroutine can serve thousands of streams.
// What a socket does not take at once is kept for the next Try, or for a Send in
// a goroutine that can wait.
//
// # Heartbeats
//
// Proxies end connections that are silent for a minute or so, and a server
// notices some dead clients only when it writes. [Stream.HeartbeatDue] fires
// after a time of silence; answer it with [Stream.Heartbeat].
//
// # Slow clients
//
// Each write has a deadline, and none is left behind for the quiet time between
// two writes. A client that takes no bytes for Options.WriteTimeout makes Send
// return an error for which os.ErrDeadlineExceeded is the cause.
//
// # Resuming
//
// [LastEventID] is the id of the last event that a returning client saw. Where
// what followed is lost, say so with [AppendGap] instead of going on in silence.
package sse
