package web_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"example.com/sse-demo/deploy/browsertest"
	"example.com/sse-demo/web"
)

// A page and a worker that open the same stream and note what comes.
const (
	streamScript = `import {openStream} from "/eventstream.js";
const seen = {ids: [], states: [], problems: []};
const report = () => globalThis.postMessage(JSON.stringify(seen), globalThis.document && "*");
openStream("/events", {
  onEvent: ({id}) => { seen.ids.push(id); report(); },
  onState: (state) => { seen.states.push(state); report(); },
  onProblem: ({title}) => { seen.problems.push(title); report(); },
});`
	streamPage = `<!doctype html><title>test</title><link rel="icon" href="data:,"><script type="module">
addEventListener("message", ({data}) => (globalThis.inPage = JSON.parse(data)));
const worker = new Worker("/script.js", {type: "module"});
worker.onmessage = ({data}) => (globalThis.inWorker = JSON.parse(data));
await import("/script.js");
</script>`
)

// faultyServer sends ten events, two a connection and the beginning of a third.
// Then it ends the first connection, is silent on the second, and so on.
type faultyServer struct {
	connections atomic.Int64
	silent      atomic.Int64 // connections that were left to the client to end
}

func (s *faultyServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const events = 10
	last, _ := strconv.Atoi(r.Header.Get("Last-Event-ID"))
	if last == events {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("SSE-Heartbeat", "100")
	_, _ = fmt.Fprintf(w, "retry: 10\nid: %d\ndata: a\n\nid: %d\ndata: b\n\nid: %d\ndata: c", last+1, last+2, last+3)
	_ = http.NewResponseController(w).Flush()
	if s.connections.Add(1)%2 == 1 {
		return // in the middle of an event
	}
	<-r.Context().Done()
	s.silent.Add(1)
}

// TestEventStreamInChromium has connections that end in the middle of an event,
// and silent ones, in a page and in a worker: each event comes once and in order.
func TestEventStreamInChromium(t *testing.T) {
	t.Parallel()
	faulty := &faultyServer{}
	mux := http.NewServeMux()
	mux.Handle("GET /events", faulty)
	mux.Handle("GET /eventstream.js", http.FileServerFS(web.Files))
	mux.HandleFunc("GET /script.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = fmt.Fprint(w, streamScript)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, streamPage)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p := startBrowser(t).open(&service{T: t, addr: server.Listener.Addr().String()})
	for _, where := range []string{"inPage", "inWorker"} {
		p.until(fmt.Sprintf(`globalThis.%s?.states.at(-1) === "closed"`, where))
		if got, want := p.eval(where+".ids"), "1,2,3,4,5,6,7,8,9,10"; got != want {
			t.Errorf("%s: the events are %s, want %s", where, got, want)
		}
		states := p.eval(where + ".states")
		if !strings.HasPrefix(states, "connecting,open,reconnecting,open") || !strings.HasSuffix(states, "reconnecting,closed") {
			t.Errorf("%s: the states are %s", where, states)
		}
	}
	if faulty.silent.Load() == 0 {
		t.Error("no connection was ended by the client")
	}
	if problems := p.eval(`inPage.problems.concat(inWorker.problems)`); !strings.Contains(problems, "No byte came") {
		t.Errorf("silence was not reported: %s", problems)
	}
}

// TestEventStreamWakes lets Date jump in a real page, as after a sleep: the
// connection is replaced within seconds, although its limit is an hour.
func TestEventStreamWakes(t *testing.T) {
	t.Parallel()
	var connections atomic.Int64
	mux := http.NewServeMux()
	mux.Handle("GET /eventstream.js", http.FileServerFS(web.Files))
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		connections.Add(1)
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("SSE-Heartbeat", "1200000")
		_, _ = fmt.Fprint(w, "retry: 10\nid: 1\ndata: a\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, `<!doctype html><title>test</title><link rel="icon" href="data:,"><script type="module">
import {openStream} from "/eventstream.js";
globalThis.events = 0;
openStream("/events", {onEvent: () => globalThis.events++});
</script>`)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p := startBrowser(t).open(&service{T: t, addr: server.Listener.Addr().String()})
	p.until(`globalThis.events === 1`)
	p.eval(`(() => { const now = Date.now; Date.now = () => now() + 7200000; dispatchEvent(new Event("online")); })()`)
	p.until(`globalThis.events === 2`)
	if n := connections.Load(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

// TestEventStreamInBackForwardCache: a page that goes into the back/forward cache
// gives up its connection, and goes on when it is shown again.
func TestEventStreamInBackForwardCache(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{}, 10)
	mux := http.NewServeMux()
	mux.Handle("GET /eventstream.js", http.FileServerFS(web.Files))
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		last, _ := strconv.Atoi(r.Header.Get("Last-Event-ID"))
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprintf(w, "retry: 3600000\nid: %d\ndata: a\n\n", last+1)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		gone <- struct{}{}
	})
	mux.HandleFunc("GET /other", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, `<!doctype html><title>other</title><link rel="icon" href="data:,">`)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, `<!doctype html><title>first</title><link rel="icon" href="data:,"><script type="module">
import {openStream} from "/eventstream.js";
globalThis.seen = [];
addEventListener("pageshow", ({persisted}) => persisted && seen.push("shown again"));
openStream("/events", {onEvent: ({id}) => seen.push(id), onState: (state) => seen.push(state), onProblem: ({title}) => seen.push(title)});
</script>`)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	b := &browser{browsertest.NewFullBrowser(t)}
	p := b.open(&service{T: t, addr: server.Listener.Addr().String()})
	p.until(`globalThis.seen?.at(-1) === "1"`)
	p.eval(`void (location.href = "/other")`)
	p.until(`document.title === "other"`)
	select {
	case <-gone:
	case <-time.After(patience):
		t.Fatal("the page in the cache has kept its connection")
	}
	p.eval(`void history.back()`)
	p.until(`document.title === "first" && globalThis.seen?.at(-1) === "2"`)
	seen := p.eval(`seen`)
	if want := "connecting,open,1,reconnecting,shown again,open,2"; seen != want {
		t.Errorf("the page has seen %s, want %s", seen, want)
	}
}

// TestEventStreamUpload: a ReadableStream as a body, which Chromium sends over HTTP/2
// only.
func TestEventStreamUpload(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.Handle("GET /eventstream.js", http.FileServerFS(web.Files))
	mux.HandleFunc("POST /jobs", func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprintf(w, "event: done\ndata: %s\n\n", text)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, `<!doctype html><title>test</title><link rel="icon" href="data:,"><script type="module">
import {openStream} from "/eventstream.js";
globalThis.seen = [];
openStream("/jobs", {
  body: new Blob(["some ", "text"]).stream(),
  until: "done",
  onEvent: ({data}) => seen.push(data),
  onState: (state) => seen.push(state),
  onProblem: ({title}) => seen.push(title),
});
</script>`)
	})
	server := httptest.NewUnstartedServer(mux)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	p := startBrowser(t).open(startService(t), trusting, withoutScripts)
	p.do(chromedp.Navigate(server.URL + "/"))
	p.until(`globalThis.seen?.at(-1) === "closed"`)
	if got, want := p.eval(`seen`), "connecting,open,some text,closed"; got != want {
		t.Errorf("the page has seen %s, want %s", got, want)
	}
}
