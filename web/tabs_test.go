package web_test

import (
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// TestThreeTabs: over HTTP/1.1 a browser opens six connections to one origin, so
// three tabs share one set of streams. All wires are open.
func TestThreeTabs(t *testing.T) {
	t.Parallel()
	s := startService(t)
	// Chromium gives a tab that is closed half a second, which is too short for its bye if the machine is busy.
	s.files = map[string][]string{"hub.js": {"const patience = 180_000;", "const patience = 10_000;", "const lookEvery = 20_000;", "const lookEvery = 1_000;"}}
	b := startBrowser(t)
	var tabs []*tab
	for i := range 3 {
		p := b.open(s)
		p.until(live)
		p.until(`/\d/.test(document.querySelector(".price").textContent)`)
		p.publish("news", fmt.Sprintf(`"from tab %d"`, i))
		tabs = append(tabs, p)
		for _, other := range tabs {
			other.until(fmt.Sprintf(`document.querySelector(".events").textContent.includes("from tab %d")`, i))
			for _, stream := range streams {
				other.until(fmt.Sprintf(`%s.open && %s.includes("data: ") || "log" === %q`, in(stream, ".wire"), text(stream, ".wire pre"), stream))
			}
			received := other.eval(text("tick", ".received"))
			other.until(fmt.Sprintf(`%s !== %q`, text("tick", ".received"), received))
		}
	}
	if n := s.openStreams(); n > len(streams) {
		t.Errorf("three tabs have %d streams", n)
	}
	for _, p := range tabs {
		p.clean(s)
	}
	// One tab closes a stream, another leaves: the rest go on.
	tabs[0].click("tick", "toggle")
	call(tabs[1], page.Close, cdp.Empty{})
	tabs[0].until(state("tick", "closed"))
	before := tabs[2].eval(text("tick", ".received"))
	tabs[2].until(fmt.Sprintf(`%s !== %q`, text("tick", ".received"), before))
	tabs[2].click("tick", "toggle")
	tabs[2].until(`document.querySelector('[data-count="tick"]').textContent === "0"`)
}

// TestWithoutSharedWorker has the streams in the page itself, whatever keeps it from
// having the worker.
func TestWithoutSharedWorker(t *testing.T) {
	t.Parallel()
	s := startService(t)
	b := startBrowser(t)
	for what, script := range map[string]string{
		"there is none":      `delete globalThis.SharedWorker`,
		"it throws":          `globalThis.SharedWorker = class { constructor() { throw new DOMException("no", "SecurityError") } }`,
		"it does not load":   `globalThis.SharedWorker = class extends SharedWorker { constructor(_, o) { super("/assets/no-such-hub.js", o) } }`,
		"storage is blocked": `delete globalThis.SharedWorker; for (const s of ["localStorage", "sessionStorage"]) Object.defineProperty(globalThis, s, {get() { throw new DOMException("no", "SecurityError") }})`,
	} {
		p := b.open(s, beforeScripts(script))
		p.until(all("open"))
		p.publish("news", fmt.Sprintf("%q", what))
		p.until(fmt.Sprintf(`document.querySelector(".events").textContent.includes(%q)`, what))
		call(p, page.Close, cdp.Empty{})
	}
}

// TestReloadResumes: what is published while the page is loaded again is there
// afterwards, after what was there before.
func TestReloadResumes(t *testing.T) {
	t.Parallel()
	s := startService(t)
	p := startBrowser(t).open(s)
	p.until(state("channel", "open"))
	s.publish("news", `"before"`)
	p.until(`document.querySelectorAll(".events .data").length === 1`)
	p.do(chromedp.Navigate("about:blank"))
	s.publish("news", `"meanwhile"`)
	p.do(chromedp.Navigate("http://" + s.addr + "/"))
	p.until(`document.querySelectorAll(".events .data").length >= 2`)
	s.publish("chat", `"after"`)
	p.until(`document.querySelector(".events li:last-child .data")?.textContent === '"after"'`)
	if got := p.eval(seen); got != `"before","meanwhile","after"` {
		t.Error(got)
	}
	p.do(chromedp.Navigate("about:blank"))
	s.publish("news", `"while it was cached"`)
	p.eval(`setTimeout(() => history.back())`) // from the cache of the browser, where the page was not loaded again
	p.until(`document.querySelector(".events li:last-child .data")?.textContent === '"while it was cached"'`)
	if got := p.eval(seen); got != `"before","meanwhile","after","while it was cached"` {
		t.Error(got)
	}
	p.until(text("channel", ".wire pre") + `.includes("while it was cached")`)
}

// TestStorage: what another version has stored, or nobody has room for, does no harm.
func TestStorage(t *testing.T) {
	t.Parallel()
	s := startService(t)
	b := startBrowser(t)
	for _, script := range []string{
		`sessionStorage["sse-demo.channel"] = "{"; localStorage["sse-demo.job"] = '{"id":7}'; sessionStorage["sse-demo.token"] = "[]"`,
		`sessionStorage["sse-demo.channel"] = '{"names":["no spaces"],"shown":[]}'; localStorage["sse-demo.job"] = '{"id":"no job!","lastEventId":"x"}'; sessionStorage["sse-demo.token"] = '{"token":"\\n"}'`,
		`sessionStorage["sse-demo.channel"] = '{"names":["news"],"shown":[null,{"id":"\\n","name":"a","data":"b"}]}'; localStorage["sse-demo.job"] = '{"id":"a-job","lastEventId":{},"status":[]}'`,
		`Storage.prototype.setItem = () => { throw new DOMException("full", "QuotaExceededError") }`,
	} {
		p := b.open(s, beforeScripts(script))
		p.until(all("open"))
		s.publish("news", fmt.Sprintf("%q", script))
		p.until(`document.querySelectorAll(".events .data").length > 0`)
		call(p, page.Close, cdp.Empty{})
	}
}
