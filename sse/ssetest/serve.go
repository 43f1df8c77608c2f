package ssetest

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
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
	for name, test := range map[string]func(s *server){
		"head": testHead, "HEAD": testHEAD, "batches": testBatches, "end": testEnd, "failure": testFailure,
		"heartbeat": testHeartbeat, "longest durations": testLongest,
		"poll": testPoll, "poll of what is there": testPollBehind, "poll of what comes late": testPollSlow,
		"poll of nothing": testPollNothing, "poll that has waited": testPollWaited,
		"deadline": testDeadline, "deadline that has passed": testPassedDeadline,
		"shutdown": testShutdown, "shutdown before the stream": testEarlyShutdown,
		"shutdown right after an empty batch": testShutdownAfterNext,
		"endless source":                      testEndless, "endless source at shutdown": testEndlessShutdown,
		"client that leaves": testLeave, "client that stalls": testStall, "client that stops later": testStop,
		"client that is slow": testSlow, "client that reads in bursts": testBursts, "batch that is not taken": testUnsent,
	} {
		for protocol, http2 := range map[string]bool{"1.1": false, "2": true} {
			t.Run(name+"/HTTP "+protocol, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					serve, end := begin()
					t.Cleanup(end)
					s := newServer(t, serve, http2)
					t.Cleanup(s.stop)
					test(s)
					s.stop()
					<-time.After(time.Second) // net/http's goroutines linger; time ends with this function
				})
			})
		}
	}
	t.Run("writer that cannot flush", func(t *testing.T) {
		serve, end := begin()
		defer end()
		w, source := &plainWriter{}, new(Source).Add(1)
		err := serve(w, newRequest(t), source, sse.Options{Ended: func(sse.Outcome) { t.Error("Ended was called") }})
		if !errors.Is(err, http.ErrNotSupported) || w.written != 0 || source.Closed() != 1 {
			t.Errorf("error %v, %d bytes written, source closed %d times", err, w.written, source.Closed())
		}
	})
}

func newRequest(t *testing.T) *http.Request {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://sse.test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// plainWriter is a ResponseWriter that can do nothing else.
type plainWriter struct{ written int }

func (w *plainWriter) Header() http.Header { return http.Header{} }
func (w *plainWriter) WriteHeader(int)     { w.written++ }

func (w *plainWriter) Write(p []byte) (int, error) {
	w.written++
	return len(p), nil
}

// server serves source, the same for each request, to one client.
type server struct {
	*testing.T
	source   Source
	options  sse.Options
	network  *Network
	client   *http.Client
	http     *http.Server
	outcomes chan sse.Outcome
	sent     [3]int // what Options.Sent was told: events, gaps, bytes
	running  sync.WaitGroup
}

func newServer(t *testing.T, serve serveFunc, http2 bool) *server {
	s := &server{T: t, network: NewNetwork(), outcomes: make(chan sse.Outcome, 10)}
	s.client = s.network.Client(http2)
	const timeout = 10 * time.Second // of requests and other answers: it ends no stream
	s.http = &http.Server{ReadTimeout: timeout, WriteTimeout: timeout, Protocols: new(http.Protocols)}
	s.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o := s.options
		o.Sent = func(events, gaps int, bytes int64) {
			s.sent = [3]int{s.sent[0] + events, s.sent[1] + gaps, s.sent[2] + int(bytes)}
		}
		o.Ended = func(o sse.Outcome) { s.outcomes <- o }
		if err := serve(w, r, &s.source, o); err != nil {
			t.Error(err)
		}
	})
	s.http.Protocols.SetHTTP1(true)
	s.http.Protocols.SetUnencryptedHTTP2(true)
	s.running.Go(func() { _ = s.http.Serve(s.network) })
	return s
}

func (s *server) stop() {
	s.client.CloseIdleConnections()
	_ = s.http.Close()
	s.running.Wait()
	synctest.Wait()
	if n := len(s.outcomes); n > 0 {
		s.Errorf("ended was called %d times too often", n)
	}
}

// client is one that reads an open stream.
type client struct {
	*Reader
	header http.Header
	body   io.ReadCloser
}

// open opens a stream.
func (s *server) open() *client {
	s.Helper()
	response, err := s.client.Do(newRequest(s.T))
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = response.Body.Close() })
	return &client{NewReader(response.Body), response.Header, response.Body}
}

// reads expects the events up to number last, and then, if ends, the end.
func (s *server) reads(r *client, first, last int, ends bool) {
	s.Helper()
	for n := first; n <= last; n++ {
		if e, err := r.Next(); err != nil || e.ID != strconv.Itoa(n) || e.Data != e.ID {
			s.Fatalf("event %d: %+v, %v", n, e, err)
		}
	}
	if ends {
		if e, err := r.Next(); !errors.Is(err, io.EOF) {
			s.Fatalf("the stream goes on, or was cut: %+v, %v", e, err)
		}
	}
	if len(r.Faults) > 0 {
		s.Error(r.Faults)
	}
}

// some is any number of events.
const some = -1

// outcome expects the end of a stream, for this reason and after so many events.
func (s *server) outcome(reason sse.Reason, events int) sse.Outcome {
	s.Helper()
	o := <-s.outcomes
	if o.Reason != reason || events != some && o.Events != events {
		s.Errorf("%+v, want %s after %d events", o, reason, events)
	}
	if s.sent != [3]int{o.Events, o.Gaps, int(o.Bytes)} {
		s.Errorf("%+v, but Sent was told %v", o, s.sent)
	}
	s.sent = [3]int{}
	if s.source.Closed() != 1 {
		s.Error("the source was not closed once")
	}
	return o
}
