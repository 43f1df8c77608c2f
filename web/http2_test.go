package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestSixConnections opens 20 EventSources on one page: over HTTP/1.1 the seventh
// waits for ever, and everything after it; over HTTP/2 all are live.
func TestSixConnections(t *testing.T) {
	t.Parallel()
	s := startService(t)
	secure := httptest.NewUnstartedServer(s.running.Handler)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(func() {
		secure.CloseClientConnections()
		secure.Close()
	})
	b := startBrowser(t)
	const open = `(() => {
		globalThis.ticks = new Array(20).fill(0);
		globalThis.sources = ticks.map((_, i) => {
			const source = new EventSource("/stream/tick?interval=100");
			source.addEventListener("tick", () => ticks[i]++);
			return source;
		});
	})()`
	const live = `ticks.filter((n) => n > 3).length`

	p := b.open(s, trusting, withoutScripts)
	p.eval(open)
	p.until(live + " === 6")
	p.eval(`fetch("/health").then(() => (globalThis.answered = true))`)
	before := p.eval(`Math.max(...ticks)`)
	p.until(fmt.Sprintf(`Math.max(...ticks) > %s + 10`, before)) // a second, in which a request would long be answered
	if got := p.eval(`[` + live + `, globalThis.answered, sources.filter((s) => s.readyState === EventSource.CONNECTING).length]`); got != "6,,14" {
		t.Errorf("over HTTP/1.1 live, answered and waiting are %s", got)
	}
	p.eval(`sources.forEach((s) => s.close())`)
	p.until(`globalThis.answered`)

	p.do(chromedp.Navigate(secure.URL + "/"))
	p.eval(open)
	p.until(live + " === 20")
	p.eval(`fetch("/health").then((r) => (globalThis.answered = r.status))`)
	p.until(`globalThis.answered === ` + fmt.Sprint(http.StatusOK))
	if got := p.eval(`performance.getEntriesByType("navigation")[0].nextHopProtocol`); got != "h2" {
		t.Error(got)
	}
}
