package web_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// openStreams is the number of streams that the service has open.
func (s *service) openStreams() int {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), http.MethodGet, "http://"+s.addr+"/health", nil)
	if err != nil {
		s.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var health struct{ Connections map[string]int }
	if err := json.NewDecoder(response.Body).Decode(&health); err != nil {
		s.Fatal(err)
	}
	return health.Connections["total"]
}

// waitFor waits for something that the page does not show.
func (s *service) waitFor(what string, done func() bool) {
	s.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			s.Fatal("waited in vain for", what)
		}
	}
}

// TestFrozenTab: a tab that was frozen until the hub has dropped it goes on after its
// last ids.
func TestFrozenTab(t *testing.T) {
	t.Parallel()
	s := startService(t)
	s.files = map[string][]string{"hub.js": {"const patience = 180_000;", "const patience = 4_000;", "const lookEvery = 20_000;", "const lookEvery = 200;"}}
	p := startBrowser(t).open(s)
	p.until(all("open"))
	s.publish("news", "0")
	p.until(`document.querySelectorAll(".events .data").length === 1`)
	call(p, page.SetWebLifecycleState, page.SetWebLifecycleStateParams{State: "frozen"})
	s.waitFor("the hub to drop the tab", func() bool { return s.openStreams() == 0 })
	s.publish("news", "1")
	call(p, page.SetWebLifecycleState, page.SetWebLifecycleStateParams{State: "active"})
	p.wantNumbers(2)
	p.until(live)
	p.until(text("channel", ".summary") + `.includes("no gap was reported") || ` + text("channel", ".summary") + `.startsWith("No cut yet")`)
}

// endWorker ends the SharedWorker of the page.
func (b *browser) endWorker(s *service) {
	s.Helper()
	targets, err := chromedp.Targets(b.Chromium)
	if err != nil {
		s.Fatal(err)
	}
	for _, info := range targets {
		if info.Type != "shared_worker" || !strings.Contains(info.URL, s.addr) {
			continue
		}
		ctx, cancel := chromedp.NewContext(b.Chromium, chromedp.WithTargetID(info.TargetID))
		defer cancel()
		if _, err := chromedp.Run(ctx, chromedp.Evaluate[any]("close()")); err != nil {
			s.Fatal(err)
		}
	}
}

// TestWorkerEnds: a browser may end a shared worker. Its tabs notice, share another
// one, and have every event once.
func TestWorkerEnds(t *testing.T) {
	t.Parallel()
	s := startService(t)
	s.files = map[string][]string{"connect.js": {"const every = 2_000;", "const every = 500;"}}
	b := startBrowser(t)
	tabs := []*tab{b.open(s), b.open(s)}
	for _, p := range tabs {
		p.until(all("open"))
	}
	s.publish("news", "0")
	for _, p := range tabs {
		p.until(`document.querySelectorAll(".events .data").length === 1`)
	}
	tabs[0].fill(`section[data-stream="tick"] form`, "symbol", "half ty") // is no wish yet
	b.endWorker(s)
	s.waitFor("the streams to end", func() bool { return s.openStreams() == 0 })
	s.publish("news", "1")
	for _, p := range tabs {
		p.wantNumbers(2)
		p.until(live)
		p.until(`document.querySelector(".symbol").textContent === "BTC"`)
	}
	if n := s.jobsStarted.Load(); n != 1 {
		t.Errorf("%d jobs were started", n)
	}
	call(tabs[1], page.Close, cdp.Empty{})
}

// TestDeafPanel: whatever keeps what comes from a panel, it is not called open: the
// panel says that it hears nothing, asks anew, and has lost nothing.
func TestDeafPanel(t *testing.T) {
	t.Parallel()
	s := startService(t, func(s *service) { s.heartbeat = 500 * time.Millisecond })
	s.files = map[string][]string{"freshness.js": {"const every = 500;", "const every = 100;"}, "panel.js": {"const askEvery = 5_000;", "const askEvery = 500;"}}
	p := startBrowser(t).open(s, beforeScripts(`{
		const real = Object.getOwnPropertyDescriptor(MessagePort.prototype, "onmessage");
		Object.defineProperty(MessagePort.prototype, "onmessage", {set(handle) {
			real.set.call(this, handle && ((e) => e.data.about && globalThis.deafTo === e.data.about ? null : handle(e)));
		}});
	}`))
	p.until(all("open"))
	s.publish("news", "0")
	p.until(`document.querySelectorAll(".events .data").length === 1`)
	p.until(`document.querySelector('[data-stream="channel"]').dataset.fresh === "" && (globalThis.ink = getComputedStyle(` + in("channel", ".state") + `).color)`)
	p.eval(`globalThis.deafTo = "channel"`)
	s.publish("news", "1")
	p.until(`document.querySelector('[data-stream="channel"]').dataset.fresh === "late" && ` + text("channel", ".freshness") + `.includes("overdue")`)
	p.until(`getComputedStyle(` + in("channel", ".state") + `).color !== ink`)
	p.until(state("channel", "reconnecting") + ` && ` + text("channel", `[role="alert"]`) + `.includes("heard nothing for three heartbeats")`)
	p.eval(`globalThis.deafTo = ""`) // the answer was not heard either
	p.wantNumbers(2)
	p.until(state("channel", "open"))
	p.showsNoProblem("channel")
}
