package deploy_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"example.com/sse-demo/deploy/browsertest"
)

// page has the lines that an application needs for each of the three.
const page = `<!doctype html>
<script src="/htmx.org/dist/htmx.js"></script>
<script src="/htmx-ext-sse/sse.js"></script>
<script type="module" src="/@hotwired/turbo/dist/turbo.es2017-esm.js"></script>
<ol id="native"></ol>
<script>
  new EventSource('http://CUT1/stream/log?lines=1000').addEventListener('log', (event) => {
    document.querySelector('#native').append(Object.assign(document.createElement('li'), { textContent: event.data }))
  })
</script>

<ol id="htmx" hx-ext="sse" sse-connect="http://CUT2/stream/log?lines=1000" sse-swap="log" hx-swap="beforeend"></ol>

<ul id="list" hx-ext="sse" sse-connect="http://SERVICE/stream/channel?name=list&replay=10" sse-swap="message" hx-swap="beforeend"></ul>

<ul id="turbo"></ul>
<turbo-stream-source src="http://SERVICE/stream/channel?name=turbo&replay=10"></turbo-stream-source>
`

// TestInteropInChromium: the browser's own EventSource and htmx live through cuts
// and a restart, and htmx and Turbo show HTML that is published as it stands.
func TestInteropInChromium(t *testing.T) {
	browser := browsertest.NewProfile(t)
	needModules(t)
	var html string
	files := http.FileServer(http.Dir("interop/node_modules"))
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			files.ServeHTTP(w, r)
			return
		}
		_, _ = fmt.Fprint(w, html)
	}))
	defer site.Close()
	p := startProcess(t, site.URL)
	native, htmx := startCutter(t, p.addr), startCutter(t, p.addr)
	html = strings.NewReplacer("CUT1", native.addr(), "CUT2", htmx.addr(), "SERVICE", p.addr).Replace(page)

	ctx := browser.NewTab(t)
	await := func(what, condition string) {
		t.Helper()
		if _, err := chromedp.Run(ctx, chromedp.Poll[bool](condition, chromedp.WithPollingInterval(50*time.Millisecond))); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(site.URL)); err != nil {
		t.Fatal(err)
	}
	publishHTML(t, p.addr, "list", `<li class="h">one</li>`)
	publishHTML(t, p.addr, "turbo", "<turbo-stream action=\"append\" target=\"turbo\">\n<template><li class=\"h\">two</li></template>\n</turbo-stream>")
	await("htmx shows an element", `document.querySelectorAll('#list > li.h').length === 1`)
	await("Turbo shows an element", `document.querySelectorAll('#turbo > li.h').length === 1`)

	p.writeLines(t, interopLines)
	want := fmt.Sprintf("line %d", interopLines)
	await("EventSource has every line", fmt.Sprintf(`document.querySelector('#native > li:last-child')?.textContent === %q`, want))
	await("htmx has every line", fmt.Sprintf(`document.querySelector('#htmx').textContent.endsWith(%q)`, want))
	for name, expression := range map[string]string{
		"EventSource": `[...document.querySelectorAll('#native > li')].map((li) => li.textContent).join('')`,
		"htmx":        `document.querySelector('#htmx').textContent`,
	} {
		got, err := chromedp.Run(ctx, chromedp.Evaluate[string](expression))
		if err != nil {
			t.Fatal(err)
		}
		if got != allLines() {
			t.Errorf("%s has %q", name, got)
		}
	}
	for name, c := range map[string]*cutter{"EventSource": native, "htmx": htmx} {
		if cuts := c.done(); cuts != interopCuts {
			t.Errorf("%s: %d cuts", name, cuts)
		}
	}
}

func allLines() string {
	var all strings.Builder
	for n := 1; n <= interopLines; n++ {
		fmt.Fprintf(&all, "line %d", n)
	}
	return all.String()
}

func publishHTML(t *testing.T, addr, channel, text string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/publish?channel="+channel, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "text/html")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatal(response.Status)
	}
}
