// Package eventloop serves event streams as [sse.Serve] does, thousands of them
// from one goroutine. It uses the standard library only. It is optional: a
// service without it serves each stream in the goroutine of its handler, which
// costs some 20 kB more memory a stream, and more time for each delivery.
//
//	loop := eventloop.New()
//	defer loop.Close()
//	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
//		news := broker.Subscribe([]string{"news"}, pubsub.Start{After: sse.LastEventID(r)})
//		if err := loop.Serve(w, r, news, options); err != nil {
//			http.Error(w, err.Error(), http.StatusInternalServerError)
//		}
//	})
//
// # How it works
//
// Serve takes the connection over from net/http ([net/http.Hijacker]), makes the
// first step in the goroutine of the handler, and returns: the goroutine and the
// buffers of the request are gone. From then on a worker has the stream. A worker
// is one goroutine; there is one for each processor but one.
//
// A worker waits until a source or a client that leaves wakes one of its streams, or a
// heartbeat or an end is due. Then it makes a pass: a step for each of these streams. A
// step calls Next of the source and writes what it returns without ever waiting. If
// the socket does not take all of it, a separate goroutine writes the rest and returns
// the stream to its worker, so a slow client delays nobody. The rest is kept as slices
// of the frames, which all streams share.
//
// The loop reads from connections to notice clients that leave: on Linux with one
// epoll instance for all streams, elsewhere, and for those that send something over TLS,
// with a goroutine for each.
//
// Over TLS the server has to use [ListenTLS]; then crypto/tls encrypts into memory, and
// the loop writes that. A request over HTTP/2 shares its connection with others, so
// [sse.Serve] serves it within [Loop.Serve].
//
// The context of the request ends when the handler returns, so it does not end the
// stream. On Linux set the listening socket up as package sse says for slow clients.
//
// # Who may touch what
//
//   - One goroutine owns a stream: its handler during the first step, then the worker,
//     and a separate goroutine while it writes the rest. The owner uses everything in
//     the session but input, left and state.
//   - worker.mu guards state and the queue. It is held for moments only, and no source,
//     connection or callback is used with it. Locks of sources come before it: sources
//     call wake with theirs held.
//   - Loop.mu guards the list of sessions. No other lock is taken with it.
//   - input is used by the goroutine that reads from clients. left is atomic: that
//     goroutine, or Close, sets it and wakes the stream.
//   - Options.Ended runs in a new goroutine: it may block. Options.Sent is called by
//     the owner, so it may not.
package eventloop
