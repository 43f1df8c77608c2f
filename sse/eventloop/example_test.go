package eventloop_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"

	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/eventloop"
	"example.com/sse-demo/sse/ssetest"
)

// The handler returns at once, and the stream goes on until ended is called.
func ExampleLoop_Serve() {
	loop := eventloop.New()
	defer loop.Close()
	outcome := make(chan sse.Outcome, 1)
	handler := func(w http.ResponseWriter, r *http.Request) {
		source := new(ssetest.Source).Add(1)
		ended := func(o sse.Outcome) { outcome <- o } // a service closes the source here
		if err := loop.Serve(w, r, source, sse.Options{Once: true}, ended); err != nil {
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
	// data: 1
	//
	// done 1
}
