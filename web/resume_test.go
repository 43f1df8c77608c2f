package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/sse-demo/sse/ssetest"
)

// numbers is what the channel panel lists if the payloads from 0 to n-1 came, each once.
func numbers(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprint(i))
	}
	return strings.Join(all, ",")
}

func (p *tab) wantNumbers(n int) {
	p.Helper()
	p.until(fmt.Sprintf(`document.querySelector(".events li:last-child .data")?.textContent === "%d"`, n-1))
	if got := p.eval(seen); got != numbers(n) {
		p.Errorf("the list has %s, want 0 to %d", got, n-1)
	}
}

// TestManyCuts: every event comes once, whatever is published while the page is away.
func TestManyCuts(t *testing.T) {
	t.Parallel()
	s := startService(t)
	p := startBrowser(t).open(s)
	p.until(state("channel", "open"))
	const cuts = 5
	for i := range cuts {
		s.publish("news", fmt.Sprint(4*i))
		s.publish("chat", fmt.Sprint(4*i+1))
		p.click("channel", "cut")
		s.publish("news", fmt.Sprint(4*i+2))
		s.publish("chat", fmt.Sprint(4*i+3))
		p.until(state("channel", "open") + fmt.Sprintf(` && document.querySelector(".events li:last-child .data")?.textContent === "%d"`, 4*i+3))
	}
	p.wantNumbers(4 * cuts)
	p.until(`document.querySelectorAll('[data-stream="channel"] [data-mark="cut"]').length > 3`)
	p.until(`/^Resumed after 1.*; no gap was reported.$/.test(` + text("channel", ".summary") + `)`)
	if got := p.eval(`document.querySelectorAll(".notice[data-mark=gap], .events .notice").length`); got != "0" {
		t.Error("the page says that something is lost")
	}
}

// TestOffline: nothing gets through for three seconds.
func TestOffline(t *testing.T) {
	t.Parallel()
	s := startService(t)
	s.files = map[string][]string{"panel.js": {"const offlineFor = 5_000;", "const offlineFor = 3_000;"}}
	p := startBrowser(t).open(s)
	p.until(state("channel", "open"))
	s.publish("news", "0")
	p.until(`document.querySelectorAll(".events .data").length === 1`)
	const top = `(() => {
		const section = document.querySelector('section[data-stream="channel"]');
		return Math.round(section.querySelector(".break").getBoundingClientRect().top - section.getBoundingClientRect().top);
	})()`
	before := p.eval(top)
	p.click("channel", "offline")
	p.until(state("channel", "reconnecting") + ` && ` + text("channel", ".problem") + `.includes("offline")`)
	if got := p.eval(top); got != before {
		t.Errorf("a problem moves the buttons below it from %s to %s", before, got)
	}
	s.publish("news", "1")
	s.publish("news", "2")
	p.wantNumbers(3)
	p.until(text("channel", ".summary") + `.includes("2 events have come since, at least 2 of them published before the return; no gap was reported.")`)
	p.until(state("channel", "open"))
	p.showsNoProblem("channel")
	p.until(state("tick", "open"))
}

// TestLongPolling: by many short responses the page gets the same.
func TestLongPolling(t *testing.T) {
	t.Parallel()
	s := startService(t)
	p := startBrowser(t).open(s)
	p.until(all("open"))
	s.publish("news", "0")
	p.until(`document.querySelectorAll(".events .data").length === 1`)
	p.click("channel", "poll")
	p.until(in("channel", `[data-action="poll"]`) + `.ariaPressed === "true"`)
	for i := 1; i < 20; i++ {
		s.publish("news", fmt.Sprint(i))
		if i%5 == 0 {
			p.until(fmt.Sprintf(`document.querySelector(".events li:last-child .data")?.textContent === "%d"`, i))
		}
	}
	p.wantNumbers(20)
	p.until(text("channel", ".wire pre") + `.includes("wait=20000")`)
	p.until(state("channel", "open"))
	p.click("channel", "poll")
	p.until(in("channel", `[data-action="poll"]`) + `.ariaPressed === "false"`)
	s.publish("news", "20")
	p.wantNumbers(21)
}

// TestRestart ends the service while the page is open. For a while nobody answers, and
// then a proxy with 502, at which an EventSource gives up for good. The page says so,
// comes back by itself, and has every event; a loss is said.
func TestRestart(t *testing.T) {
	t.Parallel()
	s := startService(t)
	s.files = map[string][]string{"hub.js": {"const healthEvery = 2_000;", "const healthEvery = 200;"}}
	p := startBrowser(t).open(s)
	p.until(all("open"))
	for i := range 5 {
		s.publish("news", fmt.Sprint(i))
	}
	p.until(`document.querySelectorAll(".events .data").length === 5`)
	s.stop()
	for _, stream := range []string{"tick", "log", "channel"} {
		p.until(state(stream, "reconnecting"))
	}
	const stale = `document.querySelector(".counts").dataset.stale`
	const age = `document.querySelector(".counts-age").textContent`
	p.until(`document.querySelector("header").dataset.status === "unreachable"`)
	p.until(stale + ` === "true" && /^as of \d+ s ago$/.test(` + age + `)`)
	p.publish("news", `"lost"`)
	p.until(text("channel", `.publish [data-for=""]`) + ` === "The service cannot be reached."`)

	proxy := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "Bad Gateway", http.StatusBadGateway)
	}))
	_ = proxy.Listener.Close()
	proxy.Listener = ssetest.Listen(t, s.addr)
	proxy.Start()
	p.until(text("channel", ".problem") + `.includes("Bad Gateway")`)
	proxy.Close()

	s.start()
	for i := range 5 {
		s.publish("news", fmt.Sprint(5+i))
	}
	for _, stream := range []string{"tick", "log", "channel"} {
		p.until(state(stream, "open"))
		p.showsNoProblem(stream)
	}
	p.until(`document.querySelector("header").dataset.status === "ok" && ` + stale + ` === "false" && ` + age + ` === ""`)
	p.wantNumbers(10)
	if notices := p.eval(`document.querySelectorAll(".events .notice").length`); notices != "1" {
		t.Errorf("%s gaps are shown, one was sent", notices)
	}
	p.until(`document.querySelector('[data-stream="channel"] [data-mark="gap"]') && ` + text("channel", ".summary") + `.endsWith("a gap was reported: events are lost.")`)
}

// TestBusy: a panel that the service has no room for says so, until it is open.
func TestBusy(t *testing.T) {
	t.Parallel()
	s := startService(t, func(s *service) { s.maxStreams = 1 })
	b := startBrowser(t)
	p := b.open(s)
	const says = "The service is busy: no more streams can be opened now. A new connection follows."
	const busyPanels = `[...document.querySelectorAll("section [role=alert]")].filter((e) => e.textContent === "` + says + `").length === 3`
	p.until(busyPanels)
	other := b.open(s)
	other.until(busyPanels)
	p.eval(`document.querySelector('section[data-state="open"] button[data-action="toggle"]').click()`)
	other.eval(`document.querySelector('section[data-state="open"] button[data-action="toggle"]').click()`)
	p.until(`document.querySelector('section[data-state="open"] [role="alert"]')?.textContent === ""`)
}

// TestBlackHole: a proxy that lets nothing through any more, and closes nothing.
func TestBlackHole(t *testing.T) {
	t.Parallel()
	s := startService(t, everySecond)
	hole := startProxy(t, s.addr)
	p := startBrowser(t).open(&service{T: t, addr: hole.addr})
	p.until(all("open"))
	s.publish("news", "0")
	p.until(`document.querySelectorAll(".events .data").length === 1`)
	hole.swallow()
	s.publish("news", "1")
	p.until(text("channel", ".freshness") + ` && ` + text("channel", ".freshness") + `.includes("overdue") && document.querySelector('[data-stream="channel"]').dataset.fresh === "late"`)
	p.until(text("channel", ".problem") + `.includes("No byte came for three heartbeats")`)
	p.until(state("channel", "reconnecting"))
	hole.forward()
	s.publish("news", "2")
	p.wantNumbers(3)
	p.until(text("channel", ".summary") + `.startsWith("Resumed after")`)
}
