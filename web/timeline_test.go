package web_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestTimeline: what it says of losses is what the page can know.
func TestTimeline(t *testing.T) {
	t.Parallel()
	s := startService(t)
	s.files = map[string][]string{"index.html": {`<p class="lesson">The price`, `<p>The price`, `value="1000"`, `value="100"`}}
	p := startBrowser(t).open(s)
	p.until(all("open"))
	if got := p.eval(text("tick", ".demo")); strings.Contains(got, "null") {
		t.Error("a panel without a lesson says null: ", got)
	}
	tick, channel := text("tick", ".summary"), text("channel", ".summary")
	p.until(tick + ` === "No cut yet. Try one of the buttons."`)

	// Ids that count: after a cut no number is missing, until a proxy drops some.
	p.click("tick", "cut")
	p.until(`/^Resumed after \d+: .* events have come since.*; no number is missing\.$/.test(` + tick + `)`)
	s.dropTicks.Store(13)
	p.until(`/; \d+ numbers are missing, and no gap was reported for that\.$/.test(` + tick + `)`)
	missing := p.eval(tick + `.match(/(\d+) numbers/)[1]`)
	p.until(fmt.Sprintf(`[...document.querySelectorAll('[data-stream="tick"] [data-mark="gap"]')].some((e) => e.textContent === %q)`, missing+" missing"))
	other := startBrowser(t).open(s) // it has not seen what was dropped, and says nothing of it
	other.until(`document.querySelectorAll(".chart polyline").length === 1`)
	if got := other.eval(tick); strings.Contains(got, "missing") {
		t.Error(got)
	}

	// Other ids: what was published after the return is not called missed, however soon it comes.
	s.publish("news", "0")
	p.until(`document.querySelectorAll(".events .data").length === 1`)
	p.click("channel", "cut")
	p.until(`document.querySelector('[data-stream="channel"] [data-mark="sent"]') && ` + state("channel", "open"))
	s.publish("news", "1")
	s.publish("news", "2")
	p.wantNumbers(3)
	p.until(`/^Resumed after \d+-\d+: 2 events have come since; no gap was reported\.$/.test(` + channel + `)`)
	names := p.eval(`[...document.querySelectorAll('[data-stream="channel"] .timeline li')].map((e) => e.textContent).join()`)
	if !strings.Contains(names, "cut,Last-Event-ID: ") || strings.Contains(names, ",,") {
		t.Errorf("the marks are called %s", names)
	}

	// A closed stream waits for nothing.
	p.click("channel", "cut")
	p.click("channel", "toggle")
	p.until(channel + `.endsWith("The stream is closed.")`)
	if got := p.eval(channel); strings.Contains(got, "waits") {
		t.Error(got)
	}
}

// TestLastWishCounts: settings are judged by the service, which takes its time. What
// was wished for later counts, whatever the order of the answers.
func TestLastWishCounts(t *testing.T) {
	t.Parallel()
	s := startService(t)
	p := startBrowser(t).open(s)
	p.until(all("open"))
	apply := func(symbol string) {
		p.fill(`section[data-stream="tick"] form`, "symbol", symbol)
		p.eval(`document.querySelector('section[data-stream="tick"] form button').click()`)
	}
	late, release := s.hold("symbol=AAA")
	apply("AAA")
	s.waitFor("the first wish", func() bool { return late.seen.Load() == 1 })
	apply("BBB")
	p.until(`document.querySelector(".symbol").textContent === "BBB"`)
	release()
	s.waitFor("its answer", func() bool { return late.over.Load() == 1 })
	before := p.eval(text("tick", ".received"))
	p.until(text("tick", ".received") + ` > ` + before)
	if got := p.eval(`document.querySelector(".symbol").textContent`); got != "BBB" || late.seen.Load() != 1 {
		t.Errorf("AAA was asked for first and BBB then, and %s is shown", got)
	}

	late, release = s.hold("symbol=CCC")
	apply("CCC")
	s.waitFor("the wish", func() bool { return late.seen.Load() == 1 })
	p.click("tick", "toggle")
	p.until(state("tick", "closed"))
	release()
	s.waitFor("its answer", func() bool { return late.over.Load() == 1 })
	p.until(`document.querySelector('[data-count="tick"]').textContent === "0"`)
	s.publish("news", "0")
	p.until(`document.querySelectorAll(".events .data").length === 1`) // what the hub does at the answer is long done
	if late.seen.Load() != 1 || p.eval(state("tick", "closed")) != "true" {
		t.Error("a stream was opened after its panel was closed")
	}

	// Two channels that nobody listens to yet, one right after the other.
	p.publish("first", "1")
	p.publish("second", "2")
	p.until(`document.querySelector('[data-action="subscribe"] [name="name"]').value === "news, chat, first, second"`)
}
