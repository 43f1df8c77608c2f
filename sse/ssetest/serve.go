package ssetest

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/sse-demo/sse"
)

// TestServe tests that streams are served as [sse.Serve] promises, over HTTP/1.1
// and HTTP/2. Begin is called for each test, in a bubble of testing/synctest, and
// returns what serves its streams and a function that ends it.
func TestServe(t *testing.T, begin func() (serve sse.ServeFunc, end func())) {
	for name, test := range map[string]func(s *server){
		"head": testHead, "HEAD": testHEAD, "batches": testBatches, "end": testEnd, "failure": testFailure,
		"once": testOnce, "deadline": testDeadline, "deadline that has passed": testPassedDeadline,
		"shutdown": testShutdown, "shutdown before the stream": testEarlyShutdown,
		"shutdown right after an empty batch": testShutdownAfterNext, "heartbeat": testHeartbeat,
		"client that leaves": testLeave, "client that stalls": testStall, "batch that is not taken": testUnsent, "client that is slow": testSlow,
		"client that reads in bursts": testBursts, "client that stops later": testStop,
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
		w := &plainWriter{}
		err := serve(w, newRequest(t), new(Source).Add(1), sse.Options{}, func(sse.Outcome) { t.Error("ended was called") })
		if !errors.Is(err, http.ErrNotSupported) || w.written != 0 {
			t.Errorf("error %v, %d bytes written", err, w.written)
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
	running  sync.WaitGroup
}

func newServer(t *testing.T, serve sse.ServeFunc, http2 bool) *server {
	s := &server{T: t, network: NewNetwork(), outcomes: make(chan sse.Outcome, 10)}
	s.client = s.network.Client(http2)
	s.http = &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := serve(w, r, &s.source, s.options, func(o sse.Outcome) { s.outcomes <- o }); err != nil {
			t.Error(err)
		}
	})}
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

// stream is an open stream.
type stream struct {
	*Reader
	header http.Header
	body   io.ReadCloser
}

// open opens a stream.
func (s *server) open() *stream {
	s.Helper()
	response, err := s.client.Do(newRequest(s.T))
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = response.Body.Close() })
	return &stream{NewReader(response.Body), response.Header, response.Body}
}

// reads expects the events up to number last, and then, if ends, the end.
func (s *server) reads(r *stream, first, last int, ends bool) {
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

// outcome expects the end of the stream, for this reason and after so many events.
func (s *server) outcome(reason sse.Reason, events int) sse.Outcome {
	s.Helper()
	o := <-s.outcomes
	if o.Reason != reason || o.Events != events {
		s.Errorf("%+v, want %s after %d events", o, reason, events)
	}
	return o
}

func testHead(s *server) {
	s.options = sse.Options{Retry: 4 * time.Second, Heartbeat: 15 * time.Second}
	s.source.Begin = "41"
	s.source.End()
	r := s.open()
	for name, want := range map[string]string{
		"Content-Type": sse.MediaType, "Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no",
		"Sse-Heartbeat": "15000", "Last-Event-Id": "41",
	} {
		if got := r.header.Get(name); got != want {
			s.Errorf("%s: %q", name, got)
		}
	}
	s.reads(r, 1, 0, true)
	if r.Retry() < 2*time.Second || r.Retry() > 6*time.Second {
		s.Errorf("retry %v", r.Retry())
	}
	if o := s.outcome(sse.SourceDone, 0); o.Bytes != int64(len("retry: 1234\n")) {
		s.Errorf("%d bytes", o.Bytes)
	}
}

func testHEAD(s *server) {
	s.source.Add(1)
	s.source.Begin = "41"
	r := newRequest(s.T)
	r.Method = http.MethodHead
	response, err := s.client.Do(r)
	if err != nil || response.Header.Get("Last-Event-Id") != "41" {
		s.Fatal(err, response)
	}
	defer func() { _ = response.Body.Close() }()
	s.outcome(sse.SourceDone, 0)
	if n := s.source.Calls(); n > 0 {
		s.Errorf("%d calls of Next", n)
	}
}

// testBatches has more batches than one step may take, and events that come late.
func testBatches(s *server) {
	s.source.Add(100)
	r := s.open()
	s.reads(r, 1, 100, false)
	<-time.After(time.Minute)
	s.source.Add(1)
	s.reads(r, 101, 101, false)
	_ = r.body.Close()
	s.outcome(sse.ClientGone, 101)
}

func testEnd(s *server) {
	r := s.open()
	s.source.Add(2)
	s.source.End()
	s.reads(r, 1, 2, true)
	if o := s.outcome(sse.SourceDone, 2); o.Err != nil || o.Bytes != int64(2*len("id: 1\ndata: 1\n\n")) {
		s.Errorf("%+v", o)
	}
}

func testFailure(s *server) {
	failure := errors.New("the disk is gone")
	s.source.Add(1).Err = failure
	r := s.open()
	s.reads(r, 1, 1, true)
	if o := s.outcome(sse.SourceFailed, 1); !errors.Is(o.Err, failure) {
		s.Error(o.Err)
	}
}

func testOnce(s *server) {
	s.options.Once = true
	r := s.open()
	<-time.After(time.Minute)
	s.source.Add(1)
	s.reads(r, 1, 1, true)
	s.outcome(sse.SourceDone, 1)
}

func testDeadline(s *server) {
	s.options = sse.Options{Heartbeat: 15 * time.Second, Deadline: time.Now().Add(time.Minute)}
	s.source.Add(1)
	r := s.open()
	s.reads(r, 1, 1, true)
	if late := time.Since(s.options.Deadline); late != 0 || len(r.Comments) != 3 {
		s.Errorf("ended %v after the deadline; comments %q", late, r.Comments)
	}
	s.outcome(sse.DeadlineReached, 1)
}

func testPassedDeadline(s *server) {
	s.options.Deadline = time.Now()
	s.source.Add(2)
	r := s.open()
	s.reads(r, 1, 1, true)
	s.outcome(sse.DeadlineReached, 1)
}

// testShutdown ends the stream after all that came before it.
func testShutdown(s *server) {
	shutdown := make(chan struct{})
	s.options = sse.Options{Shutdown: shutdown, WriteTimeout: time.Minute}
	r := s.open()
	synctest.Wait()
	s.source.Add(100)
	close(shutdown)
	s.reads(r, 1, 100, true)
	s.outcome(sse.ShutdownReached, 100)
}

// testShutdownAfterNext sends what came before the shutdown, even if both came just
// after the source was asked.
func testShutdownAfterNext(s *server) {
	shutdown := make(chan struct{})
	s.options.Shutdown = shutdown
	var once sync.Once
	s.source.After = func() {
		once.Do(func() {
			s.source.Add(3)
			close(shutdown)
		})
	}
	r := s.open()
	s.reads(r, 1, 3, true)
	s.outcome(sse.ShutdownReached, 3)
}

func testEarlyShutdown(s *server) {
	shutdown := make(chan struct{})
	close(shutdown)
	s.options.Shutdown = shutdown
	s.source.Add(3)
	r := s.open()
	s.reads(r, 1, 3, true)
	s.outcome(sse.ShutdownReached, 3)
}

// testHeartbeat: a comment after 15 s without an event, and no sooner.
func testHeartbeat(s *server) {
	s.options = sse.Options{Heartbeat: 15 * time.Second, WriteTimeout: 10 * time.Second}
	began := time.Now()
	r := s.open()
	var adding sync.WaitGroup
	adding.Go(func() {
		for _, pause := range []time.Duration{40 * time.Second, 14 * time.Second, 16 * time.Second} {
			<-time.After(pause)
			s.source.Add(1)
		}
	})
	s.reads(r, 1, 3, false)
	adding.Wait()
	if time.Since(began) != 70*time.Second || !slices.Equal(r.Comments, []string{"heartbeat", "heartbeat", "heartbeat"}) {
		s.Errorf("%v, %q", time.Since(began), r.Comments)
	}
	_ = r.body.Close()
	s.outcome(sse.ClientGone, 3)
}

func testLeave(s *server) {
	s.options.Heartbeat = time.Hour
	r := s.open()
	s.source.Add(1)
	s.reads(r, 1, 1, false)
	began := time.Now()
	_ = r.body.Close()
	s.outcome(sse.ClientGone, 1)
	if took := time.Since(began); took > time.Second {
		s.Errorf("noticed after %v", took)
	}
}

// testStall: a client that takes no bytes is cut off after its patience, and an
// eighth of it at the most.
func testStall(s *server) {
	s.options.WriteTimeout = 8 * time.Second
	s.client.Transport.(*http.Transport).ReadBufferSize = 1
	r := s.open()
	s.source.Add(1)
	s.reads(r, 1, 1, false)
	<-time.After(time.Minute)
	began := time.Now()
	s.source.Add(200_000) // more than the window of HTTP/2 takes
	o := <-s.outcomes
	var backlog sse.Backlog
	backlog.Add(int(o.Bytes), began, s.options.WriteTimeout)
	most := backlog.Patience(began, s.options.WriteTimeout) * 9 / 8
	if took := time.Since(began); o.Reason != sse.ClientStalled || took < s.options.WriteTimeout || took > most {
		s.Errorf("%+v after %v", o, took)
	}
	_ = r.body.Close()
}

// testStop: a client that was sent much, and stops when there was time to read it, is
// cut off after the write timeout, and an eighth of it at the most.
func testStop(s *server) {
	s.options.WriteTimeout = 8 * time.Second
	s.source.Batch = 400_000 // more than the window of HTTP/2 takes
	r := s.open()
	s.source.Add(s.source.Batch)
	p := make([]byte, 10_000)
	for range 2 * sse.MaxPatience * 8 {
		<-time.After(time.Second)
		if _, err := io.ReadFull(r.body, p); err != nil {
			s.Fatalf("%v, %+v", err, <-s.outcomes)
		}
	}
	stopped := time.Now()
	s.outcome(sse.ClientStalled, 0)
	if took := time.Since(stopped); took > s.options.WriteTimeout*9/8+time.Second {
		s.Errorf("cut off %v after its last read", took)
	}
	_ = r.body.Close()
}

// testUnsent: a batch that the client did not take as a whole is not counted as sent.
func testUnsent(s *server) {
	s.options.WriteTimeout = 8 * time.Second
	s.source.Batch = 200_000 // more than the window of HTTP/2 takes
	r := s.open()
	s.source.Add(1)
	s.reads(r, 1, 1, false)
	s.source.Add(s.source.Batch)
	s.outcome(sse.ClientStalled, 1)
	_ = r.body.Close()
}

// testSlow: a client that takes a few bytes now and then is not cut off, although
// it needs longer than the write timeout for what one step writes.
func testSlow(s *server) {
	s.options.WriteTimeout = 4 * time.Second
	s.source.Add(20)
	s.source.End()
	r := s.open()
	var got strings.Builder
	p := make([]byte, 10)
	for {
		<-time.After(time.Second)
		n, err := r.body.Read(p)
		got.Write(p[:n])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			s.Fatalf("%v after %d bytes, %+v", err, got.Len(), <-s.outcomes)
		}
	}
	s.reads(&stream{Reader: NewReader(strings.NewReader(got.String()))}, 1, 20, true)
	s.outcome(sse.SourceDone, 20)
}

// testBursts: a client that takes much at once and then nothing until it has read
// it is not cut off, although it takes no bytes for longer than the write timeout.
func testBursts(s *server) {
	const events = 100_000
	s.options.WriteTimeout = time.Second
	s.source.Add(events)
	s.source.End()
	r := s.open()
	burst := make([]byte, 512<<10) // eight seconds of a client that reads 64 KiB a second
	for {
		if _, err := io.ReadFull(r.body, burst); err != nil {
			break
		}
		<-time.After(6 * time.Second)
	}
	s.outcome(sse.SourceDone, events)
}
