package deploy_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/sse-demo/deploy/browsertest"
	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/ssetest"
)

type item struct {
	ID   string `json:"id"`
	Text string `json:"text"`
}

// A store is a state that changes, and tells its readers.
type store struct {
	broker *pubsub.Memory
	mu     sync.Mutex
	items  []item
	opened chan string // receives the channel of each stream
}

func newStore(history int) *store {
	return &store{broker: pubsub.NewMemory(history, 64<<20), items: []item{{"a", "old"}}, opened: make(chan string, 100)}
}

func (s *store) all() []item {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.items)
}

// set changes an item, and then says so: whoever has read the position after the
// event finds the change in the state.
func (s *store) set(ctx context.Context, changed item) error {
	s.mu.Lock()
	defer s.mu.Unlock() // also while publishing: the events have the order of the changes
	s.items = append(slices.DeleteFunc(s.items, func(i item) bool { return i.ID == changed.ID }), changed)
	data, err := json.Marshal(changed)
	if err != nil {
		return err
	}
	_, err = s.broker.Publish(ctx, "items", "", data)
	return err
}

// getItems answers with the state, and with the place in the stream after which
// every later change follows.
func (s *store) getItems(w http.ResponseWriter, _ *http.Request) {
	changes := s.broker.Subscribe([]string{"items"}, pubsub.Start{})
	position := changes.Position() // before the state is read
	changes.Close()
	w.Header().Set("Last-Event-ID", position)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s.all())
}

// awaitStream waits until a page has opened its stream.
func (s *store) awaitStream(ctx context.Context) {
	select {
	case <-s.opened:
	case <-ctx.Done():
	}
}

// serve starts the store with a page, and hooks into its answers: before the nth
// is written, but after the state was read.
func (s *store) serve(t *testing.T, pages string, hook func(n int64, r *http.Request)) string {
	t.Helper()
	events := func(channel string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			options := sse.Options{Retry: time.Second, Heartbeat: 15 * time.Second, WriteTimeout: 10 * time.Second}
			changes := s.broker.Subscribe([]string{channel}, pubsub.Start{After: sse.LastEventID(r)})
			s.opened <- channel
			if err := sse.Serve(w, r, changes, options); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		}
	}
	var asked atomic.Int64
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServer(http.Dir(pages)))
	mux.Handle("GET /events", events("items"))
	mux.Handle("GET /changes", events("changes"))
	mux.HandleFunc("GET /items", func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		s.getItems(answer, r)
		hook(asked.Add(1), r)
		maps.Copy(w.Header(), answer.Header())
		_, _ = answer.Body.WriteTo(w)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

// TestStateInChromium: a change falls between the state and the stream. The page
// that reads the position first shows it; the two orders that are often advised
// do not.
func TestStateInChromium(t *testing.T) {
	t.Parallel()
	browser := browsertest.NewProfile(t)
	pages := builtPages(t)
	set := func(t *testing.T, s *store, text string) {
		t.Helper()
		if err := s.set(t.Context(), item{"a", text}); err != nil {
			t.Error(err)
		}
	}

	for way, want := range map[string]string{"snapshot": "between", "naive": "old"} {
		t.Run(way, func(t *testing.T) {
			s := newStore(1024)
			url := s.serve(t, pages, func(n int64, _ *http.Request) {
				if n == 1 {
					set(t, s, "between")
				}
			})
			tab := openTab(t, browser, url+"/state.html#"+way)
			tab.await(`document.querySelector("li")?.textContent === "` + want + `"`)
			s.awaitStream(t.Context())
			if err := s.set(t.Context(), item{"b", "later"}); err != nil {
				t.Error(err)
			}
			tab.await(`document.querySelectorAll("li").length === 2`)
			if got := tab.text(); got != want+"later" {
				t.Errorf("the page shows %q", got)
			}
		})
	}

	t.Run("naive-stream-first", func(t *testing.T) {
		s, shown := newStore(1024), make(chan struct{})
		url := s.serve(t, pages, func(_ int64, r *http.Request) {
			set(t, s, "between") // while the answer is on its way
			select {
			case <-shown:
			case <-r.Context().Done():
			}
		})
		tab := openTab(t, browser, url+"/state.html#naive-stream-first")
		tab.await(`document.querySelector("li")?.textContent === "between"`)
		close(shown)
		tab.await(`document.querySelector("li")?.textContent === "old"`)
	})

	t.Run("fake", func(t *testing.T) {
		s := newStore(1024)
		tab := openTab(t, browser, s.serve(t, pages, func(int64, *http.Request) {})+"/state.html#fake")
		tab.await(`document.querySelector("li")?.textContent === "hello"`)
	})

	t.Run("a gap", func(t *testing.T) {
		s := newStore(1) // it keeps one event
		url := s.serve(t, pages, func(n int64, _ *http.Request) {
			if n == 1 {
				set(t, s, "between")
				for range 2 {
					if err := s.set(t.Context(), item{"b", "later"}); err != nil {
						t.Error(err)
					}
				}
			}
		})
		tab := openTab(t, browser, url+"/state.html#snapshot")
		tab.await(`[...document.querySelectorAll("li")].map((li) => li.textContent).join() === "between,later"`)
	})
}

// TestPositionFromHead: the Last-Event-ID of a HEAD is a position. An event that is
// published after it follows; one that was published before does not.
func TestPositionFromHead(t *testing.T) {
	t.Parallel()
	p := startProcess(t, "")
	ask := func(method, lastEventID string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.addr+"/stream/channel?name=news", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Last-Event-ID", lastEventID)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = response.Body.Close() })
		return response
	}
	publishHTML(t, p.addr, "news", "before")
	position := ask(http.MethodHead, "").Header.Get("Last-Event-ID")
	publishHTML(t, p.addr, "news", "after")
	if e, err := ssetest.NewReader(ask(http.MethodGet, position).Body).Next(); err != nil || e.Data != "after" {
		t.Errorf("after the position %q comes %v, %v", position, e, err)
	}
}

// TestInvalidationInChromium: an answer that is older than an event is still under
// way when the event comes. The page gives it up, and shows the newer one.
func TestInvalidationInChromium(t *testing.T) {
	t.Parallel()
	browser := browsertest.NewProfile(t)
	pages := builtPages(t)
	for _, page := range []string{"state.html#invalidation", "query.html"} {
		t.Run(page, func(t *testing.T) {
			s, given := newStore(1024), make(chan struct{})
			url := s.serve(t, pages, func(n int64, r *http.Request) {
				if n > 1 {
					return
				}
				s.awaitStream(t.Context())
				if err := s.set(t.Context(), item{"a", "new"}); err != nil {
					t.Error(err)
				}
				if _, err := s.broker.Publish(t.Context(), "changes", "", []byte(`{"changed":["items"]}`)); err != nil {
					t.Error(err)
				}
				<-r.Context().Done()
				close(given)
			})
			tab := openTab(t, browser, url+"/"+page)
			tab.await(`document.querySelector("li")?.textContent === "new"`)
			select {
			case <-given:
			case <-time.After(interopWait):
				t.Error("the page still waits for the older answer, which it would show")
			}
		})
	}
}
