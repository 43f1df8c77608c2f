package web_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// fromEnd is an expression for the pixels between what a list shows and its end.
func fromEnd(list string) string {
	return fmt.Sprintf(`(() => { const e = document.querySelector(%q); return e.scrollHeight - e.scrollTop - e.clientHeight })()`, list)
}

// TestListFollows until its reader scrolls up, and whatever else changes its size.
func TestListFollows(t *testing.T) {
	t.Parallel()
	s := startService(t)
	p := startBrowser(t).open(s)
	p.until(state("log", "open"))
	write := func(n int) {
		for i := range 40 {
			s.writeLog(fmt.Sprintf("line %d of %d, %s", i, n, strings.Repeat("long ", 20)))
		}
	}
	last := func(n int) string {
		return fmt.Sprintf(`document.querySelector(".lines").textContent.includes("line 39 of %d,")`, n)
	}
	atEnd := fromEnd(".lines") + " < 8"
	write(1)
	p.until(last(1) + " && " + atEnd)
	wireAtEnd := fromEnd(`[data-stream="log"] .wire pre`) + " < 8"
	for _, width := range []int64{500, 1024, 390, 1440} { // the lines wrap
		p.look(width, "light")
		p.until(atEnd + " && " + wireAtEnd)
	}
	for _, open := range []string{"false", "true"} { // each for a frame, as after a reader's click
		p.eval(in("log", ".wire") + `.open = ` + open)
		p.eval(`(globalThis.drawn = false, requestAnimationFrame(() => requestAnimationFrame(() => (globalThis.drawn = true))))`)
		p.until("drawn && " + atEnd)
	}
	write(2)
	p.until(last(2) + " && " + atEnd)

	// The browser's own event comes with the next frame, and lines may come before it.
	p.eval(`(() => { const e = document.querySelector(".lines"); e.scrollTop = 0; e.dispatchEvent(new Event("scroll")) })()`)
	write(3)
	p.until(last(3))
	p.until(text("log", `[data-action="newest"]`) + ` === "↓ 40 new"`)
	if got := p.eval(`document.querySelector(".lines").scrollTop`); got != "0" {
		t.Errorf("the list has moved to %s under its reader", got)
	}
	p.click("log", "newest")
	p.until(atEnd + ` && ` + in("log", `[data-action="newest"]`) + `.hidden`)

	p.click("log", "pause")
	write(4)
	p.until(text("log", `[data-action="newest"]`) + ` === "↓ 40 new"`)
	if p.eval(last(4)) == "true" {
		t.Error("a list that is paused goes on")
	}
	p.click("log", "pause")
	p.until(last(4) + " && " + atEnd)
}

// TestLongPayload is clipped until its reader wants all of it.
func TestLongPayload(t *testing.T) {
	t.Parallel()
	s := startService(t)
	p := startBrowser(t).open(s)
	p.until(state("channel", "open"))
	long := strings.Repeat("0123456789", 6000)
	for range 5 {
		s.publish("news", `"`+long+`"`)
	}
	p.until(`document.querySelectorAll(".events .clipped").length === 5 && document.querySelector(".events").textContent.length < 5000`)
	p.until(text("channel", ".wire") + `.length < 20000`)
	p.until(text("channel", ".clipped button") + ` === "show all (60.0 kB)"`)
	p.do(chromedp.Click(chromedp.CSS(".events li:last-child .clipped button")))
	p.until(`document.querySelector(".events li:last-child .data").textContent.length === 60002`)
	p.do(chromedp.Reload())
	p.until(all("open"))
	p.until(`document.querySelectorAll(".events li").length === 5`)
}
