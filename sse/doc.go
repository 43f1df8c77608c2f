// Package sse writes and reads Server-Sent Events, the text/event-stream format of
// the HTML standard (WHATWG HTML, section 9.2). This is a complete handler, with
// resume, replay, heartbeats, write deadlines and a clean shutdown:
//
//	broker := pubsub.NewMemory(1024, 64<<20) // keeps up to 1,024 events per channel, and 64 MiB in total
//	options := sse.Options{Retry: 3 * time.Second, Heartbeat: 15 * time.Second, WriteTimeout: 10 * time.Second}
//	options.Shutdown = ctx.Done() // ends every stream cleanly
//	http.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
//		news := broker.Subscribe([]string{"news"}, pubsub.Start{After: sse.LastEventID(r), Replay: 10})
//		if err := sse.Serve(w, r, news, options); err != nil {
//			http.Error(w, err.Error(), http.StatusInternalServerError)
//		}
//	})
//
// The package uses the standard library only and can be copied into another
// project as it is. The broker is from package pubsub, whose subscriptions are
// sources; anything else that implements [Source] will do, as in the example of Serve.
// When ctx is done, call [net/http.Server.Shutdown], which waits for the streams.
//
// # Events and frames
//
// An [Event] is what a program sends; its frame is the bytes of it on the wire.
// [Event.Append] is the only encoder. Encode when you publish, not when you deliver:
// one frame serves any number of clients.
//
// # Sources
//
// A [Source] is a position in something that goes on: a log of events, a file, the
// ticks of a clock. There is no difference between replayed and live events: both come
// after the position. A slow client costs no memory. Next must not wait: do slow work in a
// goroutine of the source, which hands over frames. For an answer that is known, such
// as one event, there is [SourceOf].
//
// # Shutdown
//
// When Options.Shutdown is closed, each stream sends what Next returns, until that is
// nothing, and ends; after 5 s if there is more all the time, or the client is slow. A write
// that waits for its client is not cut short; it has its write timeout.
//
// # Heartbeats
//
// Proxies end connections that are silent for a minute or so, and a server notices
// some dead clients only when it writes. After Options.Heartbeat without an event
// comes a comment.
//
// # Slow clients
//
// If a client takes no bytes for Options.WriteTimeout, its stream ends with the
// reason [ClientStalled]. A client may still be reading earlier data, so Serve first
// allows one second for each 64 KiB already sent, at most ten timeouts. Then the
// timeout begins. The WriteTimeout of a [net/http.Server] would end every stream, so
// Serve clears its deadline.
//
// For clients that read more slowly, set TCP_NOTSENT_LOWAT on the listening socket on
// Linux, or the kernel lets a write wait until a third of a large send buffer is free.
// Also call [net.ListenConfig.SetMultipathTCP] with false: with Multipath TCP, Go's
// default for listeners, the kernel ignores that option.
//
// # Resuming
//
// [LastEventID] is the id of the last event that a returning client has. If what
// followed it is lost, say so with [AppendGap] instead of going on in silence.
//
// # Reading
//
// A [Reader] is the decoder: it sees what a browser sees, and reports what a
// careful server would not send.
package sse
