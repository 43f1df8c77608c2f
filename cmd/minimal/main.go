// Command minimal is the smallest correct service: what is posted to /publish
// reaches everyone at /events. Copy this first.
package main

import (
	"context"
	"embed"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

//go:embed index.html
var page embed.FS

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)

	broker := pubsub.NewMemory(1024, 64<<20) // keeps up to 1,024 events per channel, and 64 MiB in total
	options := sse.Options{Retry: 3 * time.Second, Heartbeat: 15 * time.Second, WriteTimeout: 10 * time.Second}
	options.Shutdown = ctx.Done() // ends every stream cleanly
	http.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		news := broker.Subscribe([]string{"news"}, pubsub.Start{After: sse.LastEventID(r), Replay: 10})
		if err := sse.Serve(w, r, news, options); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	http.HandleFunc("POST /publish", func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
		if err == nil {
			_, err = broker.Publish(r.Context(), "news", "", text)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	http.Handle("GET /", http.FileServerFS(page))

	// ReadTimeout is for requests: it ends no stream.
	server := &http.Server{ReadTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	server.Handler = http.NewCrossOriginProtection().Handler(http.DefaultServeMux) // refuses writes of other sites
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "localhost:8080")
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("listening on http://%s/", listener.Addr())
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Fatal(err)
		}
	}()
	<-ctx.Done()
	stop() // a second signal ends the program at once
	_ = server.Shutdown(context.Background())
}
