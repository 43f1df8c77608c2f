package web_test

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/golang-jwt/jwt/v5"
)

func all(state_ string) string {
	var each []string
	for _, name := range []string{"tick", "log", "progress", "channel"} {
		each = append(each, state(name, state_))
	}
	return strings.Join(each, " && ")
}

func TestPage(t *testing.T) {
	t.Parallel()
	s := startService(t)
	s.writeLog(`{"level":"warn","time":1795231763840,"message":"the first line","n":1}`)
	b := startBrowser(t)
	p := b.open(s)
	if !b.hasWorker(t) {
		t.Error("the page has no SharedWorker")
	}
	p.until(all("open"))
	p.until(`document.querySelector(".price").textContent > "0" && document.querySelectorAll(".chart text").length > 4`)
	p.until(`document.querySelector(".lines li[data-level=warn] .message")?.textContent === "the first line"`)
	s.writeLog("plain ERROR <b>text</b>")
	p.until(`document.querySelector(".lines li[data-level=error]")?.textContent === "plain ERROR <b>text</b>"`)
	p.until(`document.querySelector('[data-count="total"]').textContent === "4"`)
	if got := p.eval(`document.querySelector(".protocol").textContent`); got != "HTTP/1.1" {
		t.Errorf("the header says %s", got)
	}

	// What is published is text, whatever it looks like.
	const markup = `<img src=x onerror="document.title='owned'"><script>document.title="owned"</script>`
	p.publish("news", fmt.Sprintf(`{"html":%q}`, markup))
	p.until(`document.querySelector(".events .data")?.textContent.includes("onerror")`)
	p.publish("news", markup)
	p.until(`document.querySelectorAll(".events .data").length === 2`)
	if got := p.eval(`document.title + document.querySelectorAll(".events img, .events script").length`); !strings.HasSuffix(got, "live0") {
		t.Error("markup was taken for markup:", got)
	}
	// A channel and an event name that nobody has asked for yet are added.
	p.fill(`form[data-action="publish"]`, "event", "alarm")
	p.publish("elsewhere", "1")
	p.until(`[...document.querySelectorAll(".events .name")].some((e) => e.textContent === "alarm")`)

	testWire(p)
	p.clean(s) // before what the browser itself calls an error: answers like 422
	p.publish("news", `{"open":`)
	p.until(`document.querySelector('.publish [data-for="payload"]').textContent.startsWith("payload must be JSON")`)
	p.publish("no spaces", "1")
	p.until(`document.querySelector('.publish [data-for="channel"]').textContent.startsWith("channel must be 1 to 128")`)

	for _, width := range []int64{1440, 390} {
		p.screenshot(fmt.Sprintf("page-%d-light", width), width, false)
		if got := p.eval(`document.documentElement.scrollWidth`); got != fmt.Sprint(width) {
			t.Errorf("at %d px the page is %s wide", width, got)
		}
		p.screenshot(fmt.Sprintf("page-%d-dark", width), width, true)
	}
}

var keepScreenshot = flag.Bool("screenshot", false, "TestScreenshot makes the README's page.png anew")

// TestScreenshot makes the picture of the README, and checks that the one that is
// there is not too heavy.
func TestScreenshot(t *testing.T) {
	t.Parallel()
	const path, limit = "page.png", 200_000
	if *keepScreenshot {
		s := startService(t)
		for _, line := range []string{
			`{"level":"info","stream":"tick","client":"127.0.0.1","message":"stream opened"}`,
			`{"level":"warn","message":"the disk is nearly full","free":"2 GB"}`,
			"plain ERROR cannot reach db-3",
		} {
			s.writeLog(line)
		}
		p := startBrowser(t).open(s)
		p.until(all("open"))
		p.publish("news", `{"msg":"hello"}`)
		p.do(chromedp.Click(chromedp.CSS(`button[data-action="start-job"]`)))
		p.until(`document.querySelector("progress").value >= 40 && document.querySelectorAll(".events .data").length > 0`)
		p.screenshot("page", 1200, false)
		picture, err := os.ReadFile(filepath.Join(p.ArtifactDir(), "page.png"))
		if err == nil {
			err = os.WriteFile(path, picture, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Size() > limit {
		t.Error("it is made by: go test ./web -run TestScreenshot -screenshot", err)
	}
}

// testWire opens the raw view of one panel, and then of another, which closes
// the first.
func testWire(p *tab) {
	p.Helper()
	open := func(stream string) {
		p.do(chromedp.Click(chromedp.CSS(fmt.Sprintf(`section[data-stream="%s"] summary`, stream))))
	}
	text := func(stream string) string {
		return fmt.Sprintf(`document.querySelector('section[data-stream="%s"] .wire pre').textContent`, stream)
	}
	open("channel")
	p.until(text("channel") + `.includes("retry: ")`)
	p.until(text("channel") + `.includes(": heartbeat")`)
	open("tick")
	p.until(text("tick") + `.includes("event: tick\ndata: {")`)
	p.until(`!document.querySelector('section[data-stream="channel"] .wire').open`)
	open("tick")
}

func TestInvalidSettingsShowTheServersMessage(t *testing.T) {
	t.Parallel()
	s := startService(t)
	p := startBrowser(t).open(s)
	p.until(all("open"))
	apply := func(stream, name, value string) {
		form := fmt.Sprintf(`section[data-stream="%s"] form`, stream)
		p.fill(form, name, value)
		p.do(chromedp.Click(chromedp.CSS(form + " button")))
	}
	apply("tick", "interval", "5")
	p.until(`document.querySelector('[data-for="interval"]').textContent === "interval must be at least 100"`)
	p.until(state("tick", "closed"))
	apply("tick", "interval", "100")
	p.until(state("tick", "open") + ` && document.querySelector('[data-for="interval"]').textContent === ""`)
	apply("tick", "symbol", "eth")
	p.until(`document.querySelector(".symbol").textContent === "ETH"`)
	if got := p.eval(`document.querySelector('section[data-stream="tick"] .curl').textContent`); got != "curl -N 'http://"+s.addr+"/stream/tick?symbol=eth&interval=100'" {
		t.Error(got)
	}
	apply("log", "grep", "(")
	p.until(`document.querySelector('[data-for="grep"]').textContent.startsWith("grep must be an RE2 expression")`)
	apply("log", "grep", "^keep")
	p.until(state("log", "open"))
	s.writeLog("drop 1")
	s.writeLog("keep 2")
	p.until(`document.querySelector(".lines").textContent === "keep 2"`)
	apply("channel", "name", "a*")
	p.until(`document.querySelector('[data-action="subscribe"] [data-for="name"]').textContent.startsWith("name must be")`)
}

// TestPageWithoutAToken: each panel says why it is closed, and opens when there
// is a token.
func TestPageWithoutAToken(t *testing.T) {
	t.Parallel()
	s := startService(t)
	s.stop()
	s.secret = []byte("a secret of at least thirty-two bytes")
	s.start()
	p := startBrowser(t).open(s)
	for _, stream := range []string{"tick", "log", "channel", "progress"} {
		p.until(fmt.Sprintf(`document.querySelector('section[data-stream="%s"] .head .problem').textContent.startsWith("a token is needed")`, stream))
		p.until(state(stream, "closed"))
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"exp": time.Now().Add(time.Minute).Unix(), "subscribe": []string{"*"}, "streams": []string{"tick", "log", "channel", "progress"},
	}).SignedString(s.secret)
	if err != nil {
		t.Fatal(err)
	}
	p.eval(`document.cookie = "sse_token=` + token + `; SameSite=Strict"`)
	for _, stream := range []string{"tick", "log", "channel"} {
		p.click(stream, "toggle")
		p.until(state(stream, "open"))
	}
}

func TestJobOnThePage(t *testing.T) {
	t.Parallel()
	s := startService(t)
	b := startBrowser(t)
	p := b.open(s)
	p.until(state("progress", "open"))
	p.do(chromedp.SetValue(chromedp.CSS(`[name="durationMs"]`), "5000"))
	p.click("progress", "start-job")
	p.until(`document.querySelector("progress").value > 5 && document.querySelector("progress").value < 90`)
	id := p.eval(`document.querySelector(".job-id").textContent`)
	p.do(chromedp.Reload())
	p.until(state("progress", "open") + ` && document.querySelector("progress").value > 5`)
	if got := p.eval(`document.querySelector(".job-id").textContent`); got != id {
		t.Errorf("after a reload the job is %s, it was %s", got, id)
	}
	p.until(`document.querySelector("progress").value === 100`)
	p.until(state("progress", "closed") + ` && document.querySelector(".stage").textContent === "succeeded"`)
	p.click("progress", "start-job")
	p.until(`document.querySelector("progress").value < 90 && ` + state("progress", "open"))
	p.click("progress", "cancel-job")
	p.until(`document.querySelector(".stage").textContent === "cancelled" && ` + state("progress", "closed"))
	p.clean(s)
}

// TestControlsHaveNames: a person who does not see the page must know what each
// control does.
func TestControlsHaveNames(t *testing.T) {
	t.Parallel()
	s := startService(t)
	p := startBrowser(t).open(s)
	p.until(all("open"))
	unnamed := p.eval(`[...document.querySelectorAll("input, select, button, progress, svg[role], [tabindex]")].filter((e) =>
		!(e.labels?.[0]?.textContent || e.getAttribute("aria-label") || e.textContent).trim()).map((e) => e.outerHTML).join()`)
	if unnamed != "" {
		t.Errorf("without a name: %s", unnamed)
	}
}

// TestLogFollowsUnlessScrolledUp writes more lines than fit.
func TestLogFollowsUnlessScrolledUp(t *testing.T) {
	t.Parallel()
	s := startService(t)
	p := startBrowser(t).open(s)
	p.until(state("log", "open"))
	write := func(n int) {
		for i := range 40 {
			s.writeLog(fmt.Sprintf("line %d of %d", i, n))
		}
		p.until(fmt.Sprintf(`document.querySelector(".lines").textContent.includes("line 39 of %d")`, n))
	}
	const fromBottom = `(() => { const e = document.querySelector(".lines"); return e.scrollHeight - e.scrollTop - e.clientHeight })()`
	write(1)
	p.until(fromBottom + " < 2")
	p.eval(`document.querySelector(".lines").scrollTop = 0`)
	write(2)
	if got := p.eval(`document.querySelector(".lines").scrollTop`); got != "0" {
		t.Errorf("the list has moved to %s under its reader", got)
	}
	p.eval(`document.querySelector(".lines").scrollTop = 1e9`)
	write(3)
	p.until(fromBottom + " < 2")
}

func TestToggle(t *testing.T) {
	t.Parallel()
	s := startService(t)
	p := startBrowser(t).open(s)
	p.until(all("open"))
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
	p.until(`document.querySelector('[data-count="total"]').textContent === "4"`)
	p.clean(s)
}

// TestThreeTabs: over HTTP/1.1 a browser opens six connections to one origin.
func TestThreeTabs(t *testing.T) {
	t.Parallel()
	s := startService(t)
	b := startBrowser(t)
	var tabs []*tab
	for i := range 3 {
		p := b.open(s)
		p.until(all("open"))
		p.until(`document.querySelector(".price").textContent > "0"`)
		p.publish("news", fmt.Sprintf(`"from tab %d"`, i))
		tabs = append(tabs, p)
		for _, other := range tabs {
			other.until(fmt.Sprintf(`document.querySelector(".events").textContent.includes("from tab %d")`, i))
			price := other.eval(`document.querySelector('[data-stream="tick"] .received').textContent`)
			other.until(fmt.Sprintf(`document.querySelector('[data-stream="tick"] .received').textContent !== %q`, price))
		}
	}
	tabs[0].until(`document.querySelector('[data-count="total"]').textContent === "4"`)
	for _, p := range tabs {
		p.clean(s)
	}
	// One tab closes a stream, another leaves: the rest go on.
	tabs[0].click("tick", "toggle")
	call(tabs[1], page.Close, cdp.Empty{})
	tabs[0].until(state("tick", "closed"))
	before := tabs[2].eval(`document.querySelector('[data-stream="tick"] .received').textContent`)
	tabs[2].until(fmt.Sprintf(`document.querySelector('[data-stream="tick"] .received').textContent !== %q`, before))
	tabs[2].click("tick", "toggle")
	tabs[2].until(`document.querySelector('[data-count="tick"]').textContent === "0"`)
}

// TestRestart ends the service while the page is open. The page comes back by
// itself, and has every event.
func TestRestart(t *testing.T) {
	t.Parallel()
	s := startService(t)
	p := startBrowser(t).open(s)
	p.until(all("open"))
	for i := range 5 {
		s.publish("news", fmt.Sprintf(`"before %d"`, i))
	}
	p.until(`document.querySelectorAll(".events .data").length === 5`)
	s.stop()
	for _, stream := range []string{"tick", "log", "channel"} {
		p.until(state(stream, "reconnecting"))
	}
	p.until(`document.querySelector("header").dataset.status === "unreachable"`)
	s.start()
	for i := range 5 {
		s.publish("news", fmt.Sprintf(`"after %d"`, i))
	}
	for _, stream := range []string{"tick", "log", "channel"} {
		p.until(state(stream, "open"))
	}
	p.until(`document.querySelector("header").dataset.status === "ok"`)
	p.until(`document.querySelector(".events li:last-child .data").textContent === '"after 4"'`)
	want := `"before 0","before 1","before 2","before 3","before 4","after 0","after 1","after 2","after 3","after 4"`
	got := p.eval(`[...document.querySelectorAll(".events li:not(.notice) .data")].map((e) => e.textContent).join()`)
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if notices := p.eval(`document.querySelectorAll(".events .notice").length`); notices != "1" {
		t.Errorf("%s gaps are shown, one was told", notices)
	}
}

// TestBadGateway: while the service is away a proxy answers 502, at which an
// EventSource gives up for good; the page does not.
func TestBadGateway(t *testing.T) {
	t.Parallel()
	s := startService(t)
	p := startBrowser(t).open(s)
	p.until(all("open"))
	s.stop()
	refused := make(chan struct{}, 100)
	proxy := &http.Server{Addr: s.addr, ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "Bad Gateway", http.StatusBadGateway)
		if strings.HasPrefix(r.URL.Path, "/stream/channel") {
			refused <- struct{}{}
		}
	})}
	over := make(chan error, 1)
	go func() { over <- proxy.ListenAndServe() }()
	for range 2 { // EventSource's request, and the one that asks why
		select {
		case <-refused:
		case err := <-over:
			t.Fatal(err)
		case <-time.After(patience):
			t.Fatal("the page does not come back")
		}
	}
	_ = proxy.Close()
	if err := <-over; !errors.Is(err, http.ErrServerClosed) {
		t.Fatal(err)
	}
	s.start()
	for _, stream := range []string{"tick", "log", "channel"} {
		p.until(state(stream, "open"))
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
	const seen = `[...document.querySelectorAll(".events .data")].map((e) => e.textContent).join()`
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
}

// TestWithoutSharedWorker has the streams in the page itself.
func TestWithoutSharedWorker(t *testing.T) {
	t.Parallel()
	s := startService(t)
	p := startBrowser(t).open(s, withoutSharedWorker)
	p.until(all("open"))
	p.publish("news", `"direct"`)
	p.until(`document.querySelector(".events").textContent.includes("direct")`)
	p.clean(s)
}
