package web_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"example.com/sse-demo/sse/ssetest"
)

// axe is the source of axe-core, which finds faults of accessibility.
func axe(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile(installed(t, "axe-core/axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}

// installed is the path of a file of a package that testjs asks for; without it the
// test is skipped, or fails in CI.
func installed(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join("testjs/node_modules", name)
	if _, err := os.Stat(path); err != nil {
		ssetest.Missing(t, path, "npm ci --prefix web/testjs")
	}
	return path
}

// TestPageTypes checks the types of the page's modules.
func TestPageTypes(t *testing.T) {
	t.Parallel()
	tsc(t, "-p", "testjs/tsconfig.page.json")
}

// serious are the serious findings of axe-core, one a line.
const serious = `axe.run(document, {resultTypes: ["violations"]}).then(({violations}) => (globalThis.found = violations.filter(
	({impact}) => impact === "serious" || impact === "critical").map(({id, nodes}) => id + ": " + nodes.map(({target, any}) =>
	target + " (" + (any[0]?.message ?? "") + ")").join(", ")).join("\n") || "nothing"))`

// TestAccessibility: axe-core finds nothing serious, in both themes, on a wide page
// and on a phone, in the states that a reader meets.
func TestAccessibility(t *testing.T) {
	t.Parallel()
	source := axe(t)
	s := startService(t)
	s.files = map[string][]string{"ticker.js": {"const history = 90;", "const history = 3;"}} // axe-core looks at each line of the wire
	s.writeLog(`{"level":"warn","time":1795231763840,"message":"structured","n":1}`)
	s.writeLog("plain ERROR")
	s.writeLog("debug plain")
	p := startBrowser(t).open(s)
	p.until(all("open"))
	p.publish("news", `"`+strings.Repeat("long ", 200)+`"`)
	p.publish("no spaces", "1")
	p.until(text("channel", `.publish [data-for="channel"]`) + ` !== "" && document.querySelectorAll(".events .clipped").length === 1`)
	p.click("channel", "cut")
	p.until(`document.querySelector('[data-mark="sent"]')`)
	p.choose("kind", "answer")
	p.click("progress", "start-job")
	p.until(`document.querySelector(".answer").textContent.length > 20`)
	p.click("log", "pause")
	p.eval(`document.querySelectorAll("details").forEach((e) => (e.open = true)), document.querySelector("form[data-action=token]").hidden = false`)
	run(p, chromedp.Evaluate[any](source+"; 0"))
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int64{1440, 390} {
			p.look(width, theme)
			p.eval("globalThis.found = 0")
			p.eval(serious + " && 0")
			p.until("globalThis.found")
			if found := p.eval("globalThis.found"); found != "nothing" {
				t.Errorf("%s, %d px:\n%s", theme, width, found)
			}
		}
	}
	// On a phone, iOS zooms into fields of less than 16 px; a finger needs 24 px.
	const small = `[...document.querySelectorAll("button, input, select, textarea, summary")].filter((e) => e.checkVisibility()).filter((e) => {
		const {width, height} = e.getBoundingClientRect();
		const field = /input|select|textarea/i.test(e.tagName) && e.type !== "checkbox";
		return Math.min(width, height) < (e.type === "checkbox" ? 18 : 24) || (field && parseFloat(getComputedStyle(e).fontSize) < 16);
	}).map((e) => e.outerHTML).join("\n")`
	if got := p.eval(small); got != "" {
		t.Error("too small on a phone:", got)
	}
	if got := p.eval(`[document.documentElement.scrollWidth, [...document.querySelectorAll("section")].map((e) => document.getElementById(e.getAttribute("aria-labelledby"))?.textContent)]`); got != "390,Ticker,Jobs and answers,Log,Channels" {
		t.Error(got)
	}
}

// TestReducedMotion: nothing moves for a reader who does not want that.
func TestReducedMotion(t *testing.T) {
	t.Parallel()
	s := startService(t)
	p := startBrowser(t).open(s)
	p.until(all("open"))
	p.prefer("prefers-reduced-motion", "reduce")
	s.stop()
	p.until(state("tick", "reconnecting"))
	if got := p.eval(`[getComputedStyle(document.querySelector(".state"), "::before").animationName, document.getAnimations().length]`); got != "none,0" {
		t.Error(got)
	}
}
