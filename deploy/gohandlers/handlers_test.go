package gohandlers

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	echo4 "github.com/labstack/echo/v4"
	echo4middleware "github.com/labstack/echo/v4/middleware"
	echo5 "github.com/labstack/echo/v5"
	echo5middleware "github.com/labstack/echo/v5/middleware"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/ssetest"
)

func routers(broker pubsub.Broker, options sse.Options) map[string]http.Handler {
	events := netHTTP(broker, options)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /events", events)
	onlyChi := chi.NewRouter()
	onChi(onlyChi, events)
	e4, e5 := echo4.New(), echo5.New()
	onEcho4(e4, broker, options)
	onEcho5(e5, broker, options)
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	onGin(engine, broker, options)
	return map[string]http.Handler{"net/http": mux, "chi": onlyChi, "Echo v4": e4, "Echo v5": e5, "Gin": engine}
}

// TestHandlers: with every router a stream that is cut resumes without a loss or a
// repetition and ends cleanly at shutdown, and HEAD gets the head alone.
func TestHandlers(t *testing.T) {
	for name := range routers(nil, sse.Options{}) {
		t.Run(name, func(t *testing.T) {
			broker := pubsub.NewMemory(100, 1<<20)
			shutdown := make(chan struct{})
			s := start(t, routers(broker, sse.Options{Shutdown: shutdown})[name])
			publish := func(texts ...string) {
				for _, text := range texts {
					if _, err := broker.Publish(t.Context(), "news", "", []byte(text)); err != nil {
						t.Fatal(err)
					}
				}
			}
			publish("one", "two", "three")
			s.head(t)

			first := s.open(t, "")
			last := first.expect(t, "one", "two")
			first.cut()
			publish("four", "five")
			second := s.open(t, last)
			second.expect(t, "three", "four", "five")
			publish("six")
			second.expect(t, "six")

			close(shutdown)
			if e, err := second.Next(); !errors.Is(err, io.EOF) {
				t.Errorf("after the shutdown: %+v, %v", e, err)
			}
			second.cut()
			s.Close()
			if said := s.said.String(); said != "" {
				t.Errorf("net/http complains: %s", said)
			}
		})
	}
}

// TestTimeouts: a middleware that limits the time of requests ends a stream after that
// time, though its client is still there.
func TestTimeouts(t *testing.T) {
	const timeout = 30 * time.Second
	for _, name := range []string{"chi", "Echo v4", "Echo v5"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var outcome sse.Outcome
				broker, options := pubsub.NewMemory(10, 1<<20), sse.Options{Ended: func(o sse.Outcome) { outcome = o }}
				router := chi.NewRouter()
				router.Use(chimiddleware.Timeout(timeout))
				onChi(router, netHTTP(broker, options))
				e4, e5 := echo4.New(), echo5.New()
				e4.Use(echo4middleware.ContextTimeout(timeout))
				e5.Use(echo5middleware.ContextTimeout(timeout))
				onEcho4(e4, broker, options)
				onEcho5(e5, broker, options)

				w, start := httptest.NewRecorder(), time.Now()
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/events", nil)
				map[string]http.Handler{"chi": router, "Echo v4": e4, "Echo v5": e5}[name].ServeHTTP(w, r)
				if age := time.Since(start); age != timeout || w.Code != http.StatusOK || outcome.Reason != sse.DeadlineReached {
					t.Errorf("after %v: %d, %+v", age, w.Code, outcome)
				}
			})
		})
	}
}

type server struct {
	*httptest.Server
	said strings.Builder // what net/http has logged
}

func start(t *testing.T, handler http.Handler) *server {
	s := &server{Server: httptest.NewUnstartedServer(handler)}
	s.Config.ErrorLog = log.New(&s.said, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func (s *server) do(t *testing.T, method, lastEventID string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.URL+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastEventID != "" {
		request.Header.Set("Last-Event-ID", lastEventID)
	}
	response, err := s.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if mediaType := response.Header.Get("Content-Type"); response.StatusCode != http.StatusOK || mediaType != sse.MediaType {
		t.Errorf("%s: %d, %q", method, response.StatusCode, mediaType)
	}
	return response
}

func (s *server) head(t *testing.T) {
	t.Helper()
	response := s.do(t, http.MethodHead, "")
	body, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil || len(body) > 0 {
		t.Errorf("HEAD: %q, %v", body, err)
	}
}

type stream struct {
	*ssetest.Reader
	body io.ReadCloser
}

func (s *server) open(t *testing.T, lastEventID string) *stream {
	t.Helper()
	response := s.do(t, http.MethodGet, lastEventID)
	return &stream{ssetest.NewReader(response.Body), response.Body}
}

// cut closes the connection.
func (s *stream) cut() { _ = s.body.Close() }

// expect reads as many events as there are texts, and returns the last one's id.
func (s *stream) expect(t *testing.T, texts ...string) (lastID string) {
	t.Helper()
	var got []string
	for range texts {
		e, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		got, lastID = append(got, e.Data), e.ID
	}
	if !slices.Equal(got, texts) {
		t.Errorf("%q, want %q", got, texts)
	}
	return lastID
}
