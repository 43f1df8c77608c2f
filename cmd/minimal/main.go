// Command minimal is the smallest correct service: what is posted to /publish
// reaches everyone at /events, with resume, replay, heartbeats, write deadlines
// and a clean shutdown. Copy this first.
package main

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

//go:embed index.html
var page []byte

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	broker := pubsub.NewMemory(1024, 64<<20) // keeps up to 1,024 events per channel, and 64 MiB in total
	options := sse.Options{
		Retry:        3 * time.Second,  // clients reconnect after this, ± 50 %
		Heartbeat:    15 * time.Second, // silence after which a comment is sent
		WriteTimeout: 10 * time.Second, // a client that takes no bytes for this long is cut off
		Shutdown:     ctx.Done(),       // ends every stream cleanly
	}
	http.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		news := broker.Subscribe([]string{"news"}, pubsub.Start{After: sse.LastEventID(r), Replay: 10})
		defer news.Close()
		if _, err := sse.Serve(w, r, news, options); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	http.HandleFunc("POST /publish", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(10 * time.Second))
		text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
		if err == nil {
			_, err = broker.Publish(r.Context(), "news", "", text)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(page) })

	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", cmp.Or(os.Getenv("ADDR"), "localhost:8000"))
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("listening on http://%s", listener.Addr())
	// No ReadTimeout and no WriteTimeout: each of them would end every stream.
	server := &http.Server{
		Handler:           http.NewCrossOriginProtection().Handler(http.DefaultServeMux), // refuses writes of other sites
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Fatal(err)
		}
	}()
	<-ctx.Done()
	_ = server.Shutdown(context.Background())
}
