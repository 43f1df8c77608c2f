package eventloop_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/eventloop"
)

// The handler returns at once, and the stream goes on until Ended is called.
func ExampleLoop_Serve() {
	loop := eventloop.New()
	defer loop.Close()
	outcome := make(chan sse.Outcome, 1)
	options := sse.Options{Ended: func(o sse.Outcome) { outcome <- o }}
	handler := func(w http.ResponseWriter, r *http.Request) {
		source := sse.SourceOf(sse.MustFrame(sse.Event{ID: "1", Data: []byte("hello")}))
		if err := loop.Serve(w, r, source, options); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}
	server := httptest.NewServer(http.HandlerFunc(handler))
	defer server.Close()

	response, err := http.Get(server.URL) //nolint:noctx // an example
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = response.Body.Close() }()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		fmt.Println(lines.Text())
	}
	o := <-outcome
	fmt.Println(o.Reason, o.Events)
	// Output:
	// id: 1
	// data: hello
	//
	// done 1
}

// A server with HTTPS listens through ListenTLS.
func ExampleListenTLS() {
	loop := eventloop.New()
	defer loop.Close()
	http.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		source := sse.SourceOf(sse.MustFrame(sse.Event{ID: "1", Data: []byte("hello")}))
		if err := loop.Serve(w, r, source, sse.Options{}); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	listener, err := net.Listen("tcp", ":8443") //nolint:noctx // an example
	if err != nil {
		fmt.Println(err)
		return
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second}
	err = server.ServeTLS(eventloop.ListenTLS(listener), "cert.pem", "key.pem")
	fmt.Println(err)
}
