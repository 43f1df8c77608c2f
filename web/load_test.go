package web_test

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/performance"
)

var loadFor = flag.Duration("load", 2*time.Second, "how long TestLoad publishes 200 events a second")

// TestLoad publishes 200 events a second. The page shows the newest, stays small,
// and leaves the main thread time for its reader.
func TestLoad(t *testing.T) {
	t.Parallel()
	s := startService(t)
	p := startBrowser(t).open(s)
	p.until(all("open"))
	call(p, performance.Enable, performance.EnableParams{TimeDomain: performance.EnableTimeDomainThreadTicks} /* whatever else the machine does */)
	busy := func() time.Duration {
		for _, metric := range call(p, performance.GetMetrics, cdp.Empty{}).Metrics {
			if metric.Name == "TaskDuration" {
				return time.Duration(metric.Value * float64(time.Second))
			}
		}
		t.Fatal("the browser does not measure its tasks")
		return 0
	}
	const batch, every = 10, 50 * time.Millisecond
	begin, before := time.Now(), busy()
	tick := time.NewTicker(every)
	defer tick.Stop()
	n := 0
	for time.Since(begin) < *loadFor {
		<-tick.C
		for range batch {
			s.publish("news", fmt.Sprintf(`{"n":%d,"text":"an event as it is in many services","at":%d}`, n, time.Now().UnixMilli()))
			n++
		}
	}
	share := float64(busy()-before) / float64(time.Since(begin))
	t.Logf("%d events in %v; the main thread was busy for %.0f %% of the time", n, time.Since(begin).Round(time.Millisecond), 100*share)
	p.until(fmt.Sprintf(`document.querySelector(".events li:last-child .data").textContent.startsWith('{"n":%d,')`, n-1))
	p.until(fmt.Sprintf(`%s === "%d"`, text("channel", ".received"), n))
	const most = 0.4
	if share > most {
		t.Errorf("the main thread was busy for %.0f %% of the time", 100*share)
	}
	if rows := p.eval(`document.querySelectorAll(".events li, .wire .line, .timeline li").length`); len(rows) > 4 {
		t.Errorf("the page has %s rows", rows)
	}
	if size := p.eval(`JSON.stringify(Object.values(sessionStorage)).length < 100_000`); size != "true" {
		t.Error("the page stores more than it may")
	}
}
