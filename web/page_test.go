package web_test

import (
	"fmt"
	"strings"
	"testing"
)

var streams = []string{"tick", "log", "progress", "channel"}

// all is an expression that is true if all streams are in a state.
func all(state_ string) string {
	var each []string
	for _, name := range streams {
		each = append(each, state(name, state_))
	}
	return strings.Join(each, " && ")
}

// live is an expression that is true if all streams are open, or their job has ended.
var live = strings.Join([]string{state("tick", "open"), state("log", "open"), state("channel", "open"), "(" + state("progress", "open") + " || " + state("progress", "closed") + ")"}, " && ")

// in is an expression for an element in the panel of a stream.
func in(stream, selector string) string {
	return fmt.Sprintf(`document.querySelector(%q)`, fmt.Sprintf(`section[data-stream="%s"] %s`, stream, selector))
}

func text(stream, selector string) string { return in(stream, selector) + `.textContent` }

// eachIsCounted: the header counts one open stream for each panel.
const eachIsCounted = `document.querySelector('[data-count="total"]')?.textContent === String(document.querySelectorAll("section[data-stream]").length)`

func TestPage(t *testing.T) {
	t.Parallel()
	s := startService(t, everySecond)
	s.writeLog(`{"level":"warn","time":1795231763840,"message":"the first line","n":1}`)
	b := startBrowser(t)
	p := b.open(s)
	if !b.hasWorker(s) {
		t.Error("the page has no SharedWorker")
	}
	p.until(`document.querySelector(".events").textContent === ""`) // and the style sheet says so
	p.until(all("open"))
	p.until(`/\d/.test(document.querySelector(".price").textContent) && document.querySelectorAll(".chart text").length > 4`)
	p.until(`document.querySelector(".lines li[data-level=warn] .message")?.textContent === "the first line"`)
	s.writeLog("plain ERROR <b>text</b>")
	p.until(`document.querySelector(".lines li[data-level=error]")?.textContent === "plain ERROR <b>text</b>"`)
	p.until(eachIsCounted)
	for _, stream := range streams {
		p.until(text(stream, ".freshness") + ` === "last byte 0 s ago"`)
	}

	// What is published is text, whatever it looks like.
	const markup = `<img src=x onerror="document.title='owned'"><script>document.title="owned"</script>`
	p.publish("news", fmt.Sprintf(`{"html":%q}`, markup))
	p.until(`document.querySelector(".events .data")?.textContent.includes("onerror")`)
	p.publish("news", markup)
	p.until(`document.querySelectorAll(".events .data").length === 2`)
	if got := p.eval(`document.title + document.querySelectorAll(".events img, .events script, .wire img, .wire script").length`); !strings.HasSuffix(got, "live0") {
		t.Error("markup was taken for markup:", got)
	}
	// A channel that nobody has subscribed to yet is added; any event name is shown.
	p.fill(`form[data-action="publish"]`, "event", "alarm")
	p.publish("elsewhere", "1")
	p.until(`[...document.querySelectorAll(".events .name")].some((e) => e.textContent === "alarm")`)
	p.clean(s) // before what the browser itself calls an error: answers like 422

	p.publish("news", `{"open":`)
	p.until(text("channel", `.publish [data-for="payload"]`) + `.startsWith("payload must be JSON")`)
	p.until(text("channel", ".publish .done") + ` === ""`) // no old success beside it
	p.publish("no spaces", "1")
	p.until(text("channel", `.publish [data-for="channel"]`) + `.startsWith("channel must be 1 to 128")`)
	p.until(text("channel", `.publish [data-for="payload"]`) + ` === ""`)
	p.until(in("channel", `.publish [name="channel"]`) + `.getAttribute("aria-describedby") === ` + in("channel", `.publish [data-for="channel"]`) + `.id`)
	for _, width := range []int64{1440, 390, 240} {
		p.look(width, "light")
		if got := p.eval(`document.documentElement.scrollWidth`); got != fmt.Sprint(width) {
			t.Errorf("at %d px the page is %s wide", width, got)
		}
		const wide = `[...document.querySelectorAll("body *")].filter((e) => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 1 && getComputedStyle(e).overflowX === "visible").map((e) => e.className || e.tagName).join()`
		if got := p.eval(wide); got != "" {
			t.Errorf("at %d px %s overflow", width, got)
		}
	}
}

// TestWire: the wire shows the very response that feeds the panel.
func TestWire(t *testing.T) {
	t.Parallel()
	s := startService(t, everySecond)
	p := startBrowser(t).open(s)
	p.until(all("open"))
	s.publish("news", `"over the wire"`)
	p.until(text("channel", ".wire pre") + `.includes('data: "over the wire"')`)
	p.until(text("channel", ".wire pre") + `.includes("GET /stream/channel?name=news&name=chat&replay=20\n200 text/event-stream\nSSE-Heartbeat: 1000")`)
	for kind, line := range map[string]string{"id": "id: 1", "data": "data: ", "retry": "retry: ", "comment": ": heartbeat", "blank": ""} {
		p.until(fmt.Sprintf(`[...document.querySelectorAll('[data-stream="channel"] .line[data-kind="%s"]')].some((e) => e.textContent.startsWith(%q))`, kind, line))
	}
	const beats = `document.querySelectorAll('[data-stream="channel"] .line[data-kind="comment"]').length`
	p.until(fmt.Sprintf(`%s > %s`, beats, p.eval(beats)))
	p.eval(in("channel", `.legend [data-kind="id"]`) + `.focus()`)
	p.until(text("channel", ".explanation") + `.includes("Last-Event-ID")`)
	if got := p.eval(`performance.getEntriesByType("resource").filter((e) => e.name.includes("/stream/")).length`); got != "0" {
		t.Errorf("%s streams belong to the page, and not to the worker", got)
	}
	p.until(eachIsCounted)
	p.clean(s)
}

// TestInvalidSettings: the old stream goes on, and the reason is beside the field.
func TestInvalidSettings(t *testing.T) {
	t.Parallel()
	s := startService(t)
	b := startBrowser(t)
	other := b.open(s)
	p := b.open(s)
	p.until(all("open"))
	other.until(all("open"))
	apply := func(stream, name, value string) {
		form := fmt.Sprintf(`section[data-stream="%s"] form`, stream)
		p.fill(form, name, value)
		p.eval(fmt.Sprintf("document.querySelector(%q).click()", form+" button"))
	}
	goesOn := func(p *tab) {
		p.until(state("tick", "open") + ` && ` + text("tick", ".last-id") + ` !== "none"`)
		before := p.eval(text("tick", ".last-id"))
		p.until(text("tick", ".last-id") + ` > "` + before + `" && document.querySelectorAll(".chart polyline").length === 1`)
	}
	other.fill(`section[data-stream="tick"] form`, "symbol", "half ty")
	apply("tick", "interval", "5")
	p.until(text("tick", `[data-for="interval"]`) + ` === "interval must be at least 100"`)
	goesOn(p)
	goesOn(other)
	apply("tick", "interval", "100")
	p.until(text("tick", `[data-for="interval"]`) + ` === "" && ` + text("tick", ".code") + `.includes("interval=100")`)
	other.until(text("tick", ".code") + `.includes("interval=100")`)
	if got := other.eval(in("tick", `[name="symbol"]`) + ".value"); got != "half ty" {
		t.Errorf("what is half typed in another tab is now %q", got)
	}
	apply("tick", "symbol", "eth")
	p.until(`document.querySelector(".symbol").textContent === "ETH"`)
	if got := p.eval(text("tick", ".code")); got != "curl -N 'http://"+s.addr+"/stream/tick?symbol=eth&interval=100'" {
		t.Error(got)
	}
	apply("log", "grep", "(")
	p.until(text("log", `[data-for="grep"]`) + `.startsWith("grep must be an RE2 expression")`)
	apply("log", "grep", "^keep")
	p.until(text("log", ".code") + `.includes("grep=%5Ekeep")`)
	p.until(state("log", "open"))
	s.writeLog("drop 1")
	s.writeLog("keep 2")
	p.until(`document.querySelector(".lines").textContent === "keep 2"`)
	apply("channel", "name", "a*")
	p.until(text("channel", `[data-action="subscribe"] [data-for="name"]`) + `.startsWith("name must be")`)
	p.until(state("channel", "open"))
}

func TestToggle(t *testing.T) {
	t.Parallel()
	s := startService(t)
	s.files = map[string][]string{"hub.js": {"const healthEvery = 2_000;", "const healthEvery = 200;"}}
	p := startBrowser(t).open(s)
	p.until(all("open"))
	s.publish("news", `"before"`)
	p.until(`document.querySelectorAll(".events .data").length === 1`)
	for _, stream := range []string{"tick", "log", "channel"} {
		p.click(stream, "toggle")
		p.until(state(stream, "closed"))
	}
	p.until(`document.querySelector('[data-count="total"]').textContent === "1"`)
	s.publish("news", `"while it was closed"`)
	for _, stream := range []string{"tick", "log", "channel"} {
		p.click(stream, "toggle")
		p.until(state(stream, "open"))
	}
	p.until(`document.querySelector(".events").textContent.includes("while it was closed")`)
	p.until(eachIsCounted)
	if got := p.eval(seen); got != `"before","while it was closed"` {
		t.Error(got)
	}
	p.clean(s)
}

// TestFifthStream: the header counts whatever streams the service has.
func TestFifthStream(t *testing.T) {
	t.Parallel()
	s := startService(t)
	p := startBrowser(t).open(s, beforeScripts(`delete globalThis.SharedWorker; {
		const real = globalThis.fetch;
		globalThis.fetch = async (url, init) => {
			const response = await real(url, init);
			if (url !== "/health") return response;
			const health = await response.json();
			health.connections = {...health.connections, weather: 7};
			return Response.json(health);
		};
	}`))
	p.until(all("open") + ` && document.querySelector('[data-count="weather"]')?.textContent === "7" && document.querySelector('[data-count="total"]').textContent === "4"`)
	p.clean(s)
}
