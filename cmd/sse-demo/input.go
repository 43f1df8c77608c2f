package main

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"example.com/sse-demo/routes"
	"example.com/sse-demo/sse"
)

// maxInput is how many bytes a client may send after its request. The event loop
// has the same limit.
const maxInput = 64 << 10

type connKey struct{}

// withConn is the ConnContext of a server: it lets [watchInput] find the connection
// of a request.
func withConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// watchInput lets serve notice that a client has left, even if it has sent something
// after its request of HTTP/1: net/http reads one byte more, to see the end of the
// connection, and then no further. The event loop does this by itself for the
// connections that it takes over (GET over HTTP/1.1 without TLS).
//
// The connection is not used for another request: what is read is dropped. So long
// polling is left out; it ends soon.
func watchInput(serve routes.Serve) routes.Serve {
	return func(w http.ResponseWriter, r *http.Request, source sse.Source, o sse.Options) error {
		conn, isKnown := r.Context().Value(connKey{}).(net.Conn)
		isTakenOver := r.TLS == nil && r.ProtoAtLeast(1, 1) && r.Method == http.MethodGet
		if !isKnown || r.ProtoMajor != 1 || isTakenOver || !o.PollUntil.IsZero() || r.Method == http.MethodHead {
			return serve(w, r, source, o)
		}
		w.Header().Set("Connection", "close")
		ctx, stop := dropInput(r.Context(), conn)
		defer stop()
		return serve(w, r.WithContext(ctx), source, o)
	}
}

// dropInput reads what the client sends until stop. The context ends when the client
// has left, or has sent too much.
func dropInput(parent context.Context, conn net.Conn) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer cancel()
		var dropped [256]byte
		for sum := 0; sum <= maxInput; {
			n, err := conn.Read(dropped[:])
			if err != nil {
				return
			}
			sum += n
		}
	})
	return ctx, func() {
		_ = conn.SetReadDeadline(time.Unix(1, 0)) // ends the reading
		reading.Wait()
	}
}
