package sse_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"time"

	"example.com/sse-demo/sse"
)

// A gauge is a value that changes often, whose readers need only the newest.
type gauge struct {
	mu      sync.Mutex
	n       int    // how often it was set
	frame   []byte // the newest value
	readers map[*gaugeReader]func()
}

func (g *gauge) set(value string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n, g.frame = g.n+1, sse.MustFrame(sse.Event{Data: []byte(value)})
	for _, wake := range g.readers {
		wake()
	}
}

// A gaugeReader is a source that skips the values that came while its client was
// busy with an earlier one.
type gaugeReader struct {
	*gauge
	seen int
}

func (r *gaugeReader) Next(frames [][]byte) ([][]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen < r.n {
		r.seen, frames = r.n, append(frames, r.frame)
	}
	return frames, nil
}

func (r *gaugeReader) Notify(wake func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.readers[r] = wake
	if r.seen < r.n {
		wake()
	}
}

func (r *gaugeReader) Position() string { return "" } // there is nothing to resume: the newest value comes first

func (r *gaugeReader) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.readers, r)
}

// Only the newest of many values: a slow client is not sent what is no longer true.
func ExampleServe_latest() {
	price := &gauge{readers: map[*gaugeReader]func(){}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := sse.Serve(w, r, &gaugeReader{gauge: price}, sse.Options{WriteTimeout: 10 * time.Second}); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}))
	defer server.Close()

	for n := range 1000 { // before anyone reads
		price.set(strconv.Itoa(n))
	}
	response, err := http.Get(server.URL) //nolint:noctx // an example
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = response.Body.Close() }()
	events := sse.NewReader(response.Body)
	for range 2 {
		event, err := events.Next()
		fmt.Println(string(event.Data), err)
		price.set("the next")
	}
	// Output:
	// 999 <nil>
	// the next <nil>
}
