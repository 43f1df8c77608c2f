package routes_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/routes"
	"example.com/sse-demo/routes/job"
	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/eventloop"
	"example.com/sse-demo/sse/ssetest"
)

// harness is the whole service behind a real http.Server and an in-memory
// network without buffers: what a client does not read, the server cannot write.
type harness struct {
	*testing.T
	app    *routes.Server
	server *http.Server
	client *http.Client
	net    *ssetest.Network
	log    *lockedBuffer
	jobs   *job.Manager
}

// options may be changed by a test.
func options() routes.Config {
	return routes.Config{
		Stream:     sse.Options{Retry: 3 * time.Second, Heartbeat: 15 * time.Second, WriteTimeout: 10 * time.Second},
		MaxStreams: 10_000,
		Version:    "test",
		Broker:     history{events: 1024},
		BrokerKind: "memory",
	}
}

// bubble runs test in a synctest bubble: time moves only when all wait, and a
// goroutine that is left over fails it.
// The test runs with each way to serve streams.
func bubble(t *testing.T, config routes.Config, test func(h *harness)) {
	t.Helper()
	for _, name := range []string{"sse.Serve", "eventloop"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				config := config
				if name == "eventloop" {
					loop := eventloop.New()
					t.Cleanup(loop.Close)
					config.Serve = loop.Serve
				}
				h := start(t, config)
				test(h)
				h.stop()
				<-time.After(time.Second) // net/http lets a refused request linger; time ends with this function
			})
		})
	}
}

// history is to be a broker in memory that keeps so many events a channel.
type history struct {
	pubsub.Broker
	events int
}

// fresh makes the broker for one run of a test.
func fresh(b pubsub.Broker) pubsub.Broker {
	switch b := b.(type) {
	case history:
		return pubsub.NewMemory(b.events, 64<<20)
	case brokenBroker:
		return brokenBroker{fresh(b.Broker)}
	case lateBroker:
		return lateBroker{fresh(b.Broker), b.delay}
	default:
		return b
	}
}

func start(t *testing.T, config routes.Config) *harness {
	h := &harness{T: t, net: ssetest.NewNetwork(), log: &lockedBuffer{}}
	config.Logger = zerolog.New(h.log)
	config.Broker = fresh(config.Broker)
	if config.Jobs == nil {
		config.Jobs = job.NewManager(config.Logger, job.NewJournal())
	}
	h.jobs = config.Jobs
	h.app = routes.New(config)
	h.server = &http.Server{
		Handler: h.app, Protocols: new(http.Protocols),
		WriteTimeout: time.Second, // which ends no stream and cuts no answer short
	}
	h.server.Protocols.SetHTTP1(true)
	h.server.Protocols.SetUnencryptedHTTP2(true)
	h.server.RegisterOnShutdown(h.app.Drain)
	h.client = &http.Client{Transport: described{t, &http.Transport{DialContext: h.net.Dial}}}
	var serving sync.WaitGroup
	serving.Go(func() { _ = h.server.Serve(h.net) })
	t.Cleanup(func() {
		h.stop() // a test that has failed has not done it
		serving.Wait()
		config.Jobs.Close()
	})
	return h
}

func (h *harness) stop() {
	h.client.CloseIdleConnections()
	h.app.Drain()
	_ = h.server.Close()
}

// hasJob reports whether a job of this id runs, or has ended and is kept.
func (h *harness) hasJob(id string) bool {
	watch, err := h.jobs.Watch(h.Context(), id, "")
	if err == nil {
		watch.Close()
	}
	return err == nil
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.String()
}

// do sends a request; headers are "Name: value".
func (h *harness) do(method, path, body string, headers ...string) *http.Response {
	h.Helper()
	r, err := http.NewRequestWithContext(h.Context(), method, "http://sse.test"+path, strings.NewReader(body))
	if err != nil {
		h.Fatal(err)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Add(name, value)
	}
	response, err := h.client.Do(r)
	if err != nil {
		h.Fatal(err)
	}
	return response
}

// answer is do for what is no stream; it returns status, header and body.
func (h *harness) answer(method, path, body string, headers ...string) (int, http.Header, string) {
	h.Helper()
	response := h.do(method, path, body, headers...)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		h.Fatal(err)
	}
	return response.StatusCode, response.Header, string(text)
}

const jsonType = "Content-Type: application/json"

func (h *harness) publish(channel, payload string) string {
	h.Helper()
	status, _, body := h.answer("POST", "/publish", `{"channel":"`+channel+`","payload":`+payload+`}`, jsonType)
	var reply struct{ ID string }
	if err := json.Unmarshal([]byte(body), &reply); err != nil || status != 200 {
		h.Fatalf("publish: %d %s", status, body)
	}
	return reply.ID
}

func (h *harness) health() (reply struct {
	Status      string
	Connections map[string]int
	Channels    map[string]int
	Broker      string
},
) {
	h.Helper()
	_, _, body := h.answer("GET", "/health", "")
	if err := json.Unmarshal([]byte(body), &reply); err != nil {
		h.Fatal(err, body)
	}
	return reply
}

// stream is an open event stream.
type stream struct {
	h        *harness
	response *http.Response
	*ssetest.Reader
}

func (h *harness) stream(path string, headers ...string) *stream {
	h.Helper()
	response := h.do("GET", path, "", headers...)
	if response.StatusCode != 200 || response.Header.Get("Content-Type") != "text/event-stream" {
		body, _ := io.ReadAll(response.Body)
		h.Fatalf("%s: %s %s", path, response.Status, body)
	}
	return &stream{h, response, ssetest.NewReader(response.Body)}
}

func (s *stream) close() { _ = s.response.Body.Close() }

// expect reads events: each is "name data", or "data" if it has no name.
func (s *stream) expect(want ...string) (last ssetest.Event) {
	s.h.Helper()
	for _, w := range want {
		e := s.next()
		got := e.Name + " " + e.Data
		if e.Name == "message" {
			got = e.Data
		}
		if got != w {
			s.h.Fatalf("event %q, want %q", got, w)
		}
		last = e
	}
	return last
}

func (s *stream) next() ssetest.Event {
	s.h.Helper()
	e, err := s.Next()
	if err != nil {
		s.h.Fatal("the stream has ended: ", err)
	}
	request := s.response.Request
	if wrong := mismatch(itemSchema(request.Method, request.URL.Path), item(e)); wrong != "" {
		s.h.Errorf("%s: an event that is not in openapi.json: %+v: %s", request.URL.Path, e, wrong)
	}
	return e
}

// ends fails unless the stream ends now, with its final chunk.
func (s *stream) ends() {
	s.h.Helper()
	if e, err := s.Next(); !errors.Is(err, io.EOF) {
		s.h.Fatalf("the stream goes on: %+v, %v", e, err)
	}
	if len(s.Faults) > 0 {
		s.h.Error(s.Faults)
	}
	s.close()
}
