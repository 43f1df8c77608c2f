package deploy_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"

	"example.com/sse-demo/deploy/browsertest"
)

// startSite serves a page, the packages of npm, and the service at the same origin:
// at /cut/ through a cutter.
func startSite(t *testing.T, page string, p *process, c *cutter) string {
	t.Helper()
	proxy := func(addr string) http.Handler {
		proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: addr})
		proxy.ErrorLog = log.New(io.Discard, "", 0) // of the cuts
		proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
		return proxy
	}
	mux := http.NewServeMux()
	mux.Handle("/stream/", proxy(p.addr))
	mux.Handle("/cut/", http.StripPrefix("/cut", proxy(c.addr())))
	mux.HandleFunc("/npm/", func(w http.ResponseWriter, r *http.Request) {
		file := "interop/node_modules/" + strings.TrimPrefix(r.URL.Path, "/npm/")
		for _, end := range []string{".js", "/index.js"} { // where bundlers look for a module
			if _, err := os.Stat(file + end); err == nil {
				http.Redirect(w, r, r.URL.Path+end, http.StatusFound)
				return
			}
		}
		http.ServeFile(w, r, file)
	})
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) })
	site := httptest.NewServer(mux)
	t.Cleanup(func() {
		site.CloseClientConnections()
		site.Close()
	})
	return site.URL
}

func openSite(t *testing.T, page string) (*browserTab, *process, *cutter) {
	t.Helper()
	browser := browsertest.NewProfile(t)
	needModules(t)
	p := startProcess(t, "")
	c := startCutter(t, p.addr)
	return openTab(t, browser, startSite(t, page, p, c)), p, c
}

// TestHTMX4InChromium: htmx 4 reads with fetch. It puts unnamed events into the
// page, hands named ones on as events of the DOM, and gets every line of a log once,
// over cuts and a restart.
func TestHTMX4InChromium(t *testing.T) {
	t.Parallel()
	tab, p, c := openSite(t, `<!doctype html>
<script src="/npm/htmx4/dist/htmx.js"></script>
<script src="/npm/htmx4/dist/ext/hx-sse.js"></script>
<ul id="list" hx-sse:connect="/stream/channel?name=list&replay=10" hx-swap="beforeend"></ul>
<ol id="log" hx-sse:connect="/cut/stream/log?lines=1000"></ol>
<i id="lost" hx-sse:connect="/stream/channel?name=list&lastEventId=1-1"></i>
<script>
  document.querySelector('#lost').addEventListener('gap', () => { globalThis.gap = true })
  document.querySelector('#log').addEventListener('log', ({ detail }) => {
    document.querySelector('#log').append(Object.assign(document.createElement('li'), { textContent: detail.data }))
  })
</script>`)
	publishHTML(t, p.addr, "list", `<p class="h">one</p>`)
	tab.await(`document.querySelectorAll("#list > p.h").length === 1 && globalThis.gap`)
	for !c.connected() {
		<-c.changed
	}
	p.writeLines(t, interopLines)
	tab.await(fmt.Sprintf(`document.querySelector("li:last-child")?.textContent === "line %d"`, interopLines))
	if got := tab.text(); got != allLines() {
		t.Errorf("htmx 4 has %q", got)
	}
	if cuts := c.done(); cuts != interopCuts {
		t.Errorf("%d cuts", cuts)
	}
}

// TestGapsInChromium: htmx 2 and Turbo, which swap what they know, let a page hear of
// a gap.
func TestGapsInChromium(t *testing.T) {
	t.Parallel()
	tab, _, _ := openSite(t, `<!doctype html>
<script src="/npm/htmx.org/dist/htmx.js"></script>
<script src="/npm/htmx-ext-sse/sse.js"></script>
<script type="module" src="/npm/@hotwired/turbo/dist/turbo.es2017-esm.js"></script>
<body>
<i hx-ext="sse" sse-connect="/stream/channel?name=list&lastEventId=1-1" sse-swap="message"></i>
<turbo-stream-source src="/stream/channel?name=list&lastEventId=1-1"></turbo-stream-source>
<script>
  document.body.addEventListener('htmx:sseOpen', ({ detail }) => {
    detail.source.addEventListener('gap', () => { globalThis.htmx2 = true })
  })
</script>
<script type="module">
  const { streamSource } = document.querySelector('turbo-stream-source')
  streamSource.addEventListener('gap', () => { globalThis.turbo = true })
</script>`)
	tab.await(`globalThis.htmx2 && globalThis.turbo`)
}

// TestDatastarInChromium: Datastar puts the elements of its own events into the
// page. It does not come back when a stream ends cleanly.
func TestDatastarInChromium(t *testing.T) {
	t.Parallel()
	tab, p, _ := openSite(t, `<!doctype html>
<script>document.addEventListener('datastar-sse', ({ detail }) => { globalThis.last = detail.type })</script>
<script type="module" src="/npm/@starfederation/datastar/dist/bundles/datastar.js"></script>
<div data-on-load="@get('/stream/channel?name=list&replay=10')"></div>
<ul><li id="entry">nothing</li></ul>`)
	const event = "list&event=datastar-merge-fragments"
	publishHTML(t, p.addr, event, `fragments <li id="entry">one</li>`)
	tab.await(`document.querySelector("#entry").textContent === "one"`)
	p.stop(t)
	p.start(t)
	tab.await(`globalThis.last === "finished"`)
	publishHTML(t, p.addr, event, `fragments <li id="entry">two</li>`)
	if got := tab.text(); got != "one" {
		t.Errorf("the page shows %q: Datastar has come back, and docs/browser.md says that it does not", got)
	}
}
