package ssetest

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"example.com/sse-demo/sse"
)

// serveFunc is the type of [sse.Serve].
type serveFunc = func(http.ResponseWriter, *http.Request, sse.Source, sse.Options) error

// TestServe tests that streams are served as [sse.Serve] promises, over HTTP/1.1
// and HTTP/2. Begin is called for each test, in a bubble of testing/synctest, and
// returns what serves its streams and a function that ends it.
func TestServe(t *testing.T, begin func() (serve serveFunc, end func())) {
	tests := map[string]func(s *exchange){
		"head": testHead, "HEAD": testHEAD, "heartbeat": testHeartbeat, "endless source at shutdown": testEndlessShutdown,
		"client that stalls": testStall, "client that stops later": testStop, "client that is slow": testSlow,
		"client that reads in bursts": testBursts,
	}
	for name, stream := range streamTests {
		tests[name] = stream.test
	}
	for name, test := range tests {
		for protocol, http2 := range map[string]bool{"1.1": false, "2": true} {
			t.Run(name+"/HTTP "+protocol, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					serve, end := begin()
					t.Cleanup(end)
					test(newExchange(t, serve, http2))
				})
			})
		}
	}
	t.Run("writer that cannot flush", func(t *testing.T) {
		serve, end := begin()
		defer end()
		w, source := httptest.NewRecorder(), new(Source).Add(1)
		err := serve(struct{ http.ResponseWriter }{w}, newRequest(t, http.MethodGet), source, sse.Options{Ended: func(sse.Outcome) { t.Error("Ended was called") }})
		if !errors.Is(err, http.ErrNotSupported) || len(w.Header()) > 0 || w.Body.Len() > 0 || source.Closed.Load() != 1 {
			t.Errorf("error %v, written %v %q, source closed %d times", err, w.Header(), w.Body, source.Closed.Load())
		}
	})
}

func newRequest(t *testing.T, method string) *http.Request {
	r, err := http.NewRequestWithContext(t.Context(), method, "http://sse.test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// An exchange is one stream: its server, and the client that reads it.
type exchange struct {
	*testing.T
	source   Source
	options  sse.Options
	client   *http.Client
	http     *http.Server
	outcomes chan sse.Outcome
	sent     sse.Outcome // what Options.Sent has reported

	*Reader // of the response, once it is open
	header  http.Header
	body    io.ReadCloser
	events  int   // that were read
	bytes   int64 // of them
}

func newExchange(t *testing.T, serve serveFunc, http2 bool) *exchange {
	network := NewNetwork()
	s := &exchange{T: t, client: network.Client(http2), outcomes: make(chan sse.Outcome, 10)}
	const timeout = 10 * time.Second // of requests and other answers: it ends no stream
	s.http = &http.Server{ReadTimeout: timeout, WriteTimeout: timeout, Protocols: new(http.Protocols)}
	s.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o := s.options
		o.Sent = func(events, gaps int, bytes int64) {
			s.sent.Events += events
			s.sent.Gaps += gaps
			s.sent.Bytes += bytes
		}
		o.Ended = func(o sse.Outcome) { s.outcomes <- o }
		if err := serve(w, r, &s.source, o); err != nil {
			t.Error(err)
		}
	})
	s.http.Protocols.SetHTTP1(true)
	s.http.Protocols.SetUnencryptedHTTP2(true)
	go func() { _ = s.http.Serve(network) }()
	t.Cleanup(s.stop)
	return s
}

func (s *exchange) stop() {
	s.client.CloseIdleConnections()
	_ = s.http.Close()
	<-time.After(time.Second) // net/http's goroutines linger, and time ends with the test
	if n := len(s.outcomes); n > 0 {
		s.Errorf("ended was called %d times too often", n)
	}
}

// some is any number of events.
const some = -1

// outcome expects the end of the stream, for this reason and after so many events.
func (s *exchange) outcome(reason sse.Reason, events int) sse.Outcome {
	s.Helper()
	o := <-s.outcomes
	if o.Reason != reason || events != some && o.Events != events {
		s.Errorf("%+v, want %s after %d events", o, reason, events)
	}
	if s.sent != (sse.Outcome{Events: o.Events, Gaps: o.Gaps, Bytes: o.Bytes}) {
		s.Errorf("%+v, but Sent was called with %+v", o, s.sent)
	}
	if s.source.Closed.Load() != 1 {
		s.Error("the source was not closed once")
	}
	return o
}

// open opens the stream.
func (s *exchange) open() {
	s.Helper()
	response, err := s.client.Do(newRequest(s.T, http.MethodGet))
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = response.Body.Close() })
	s.Reader, s.header, s.body = NewReader(s), response.Header, response.Body
}

// Read implements [io.Reader].
func (s *exchange) Read(p []byte) (int, error) {
	n, err := s.body.Read(p)
	s.bytes += int64(n)
	return n, err
}

// reads expects so many further events.
func (s *exchange) reads(events int) {
	s.Helper()
	for range events {
		s.events++
		if e, err := s.Next(); err != nil || e.ID != strconv.Itoa(s.events) || e.Data != e.ID {
			s.Fatalf("event %d: %+v, %v", s.events, e, err)
		}
	}
}

// ends expects that the stream ends for this reason, after the events that were read.
// If the reason is the client, it leaves.
func (s *exchange) ends(reason sse.Reason) sse.Outcome {
	s.Helper()
	if reason == sse.ClientGone {
		_ = s.body.Close()
		if s.source.After != nil { // it has sent more
			return s.outcome(reason, some)
		}
		return s.outcome(reason, s.events)
	}
	if e, err := s.Next(); !errors.Is(err, io.EOF) {
		s.Fatalf("the stream goes on, or was cut: %+v, %v", e, err)
	}
	o := s.outcome(reason, s.events)
	if o.Bytes != s.bytes || len(s.Faults) > 0 {
		s.Errorf("%+v, but %d bytes were read; %q", o, s.bytes, s.Faults)
	}
	return o
}
