package web_test

import (
	"fmt"
	"go/parser"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"example.com/sse-demo/sse/ssetest"
)

// TestCopy copies the lines of a panel and runs them.
func TestCopy(t *testing.T) {
	t.Parallel()
	s := startService(t, func(s *service) { s.heartbeat = 4 * time.Second }) // curl below notices with the next one that its reader has ended
	p := startBrowser(t).open(s, beforeScripts(`globalThis.copied = []; Object.defineProperty(navigator, "clipboard", {value: {writeText: async (text) => void copied.push(text)}})`))
	p.until(all("open"))
	s.publish("news", `"the first"`)
	s.publish("news", `"the second"`)
	p.until(`document.querySelectorAll(".events .data").length === 2`)
	p.eval(in("channel", ".copy") + `.open = true`)
	copied := func(kind string) string {
		before := p.eval(`copied.length`)
		p.do(chromedp.Click(chromedp.CSS(fmt.Sprintf(`[data-stream="channel"] [data-copy="%s"]`, kind))))
		p.until(`copied.length > ` + before + ` && ` + text("channel", ".copied") + ` === "The lines for ` + kind + ` are copied."`)
		return p.eval(`copied.at(-1)`)
	}
	url := "http://" + s.addr + "/stream/channel?name=news&name=chat&replay=20"
	if got, want := copied("curl"), "curl -N '"+url+"'"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	p.do(chromedp.Click(chromedp.CSS(`[data-stream="channel"] [name="resume"]`)))
	last := p.eval(text("channel", ".last-id"))
	s.publish("news", `"the third"`)
	p.until(`document.querySelectorAll(".events .data").length === 3`)
	curl := copied("curl")
	newest := p.eval(text("channel", ".last-id"))
	if want := "curl -N -H 'Last-Event-ID: " + newest + "' '" + url + "'"; curl != want {
		t.Errorf("%q, want %q", curl, want)
	}
	ssetest.Need(t, "curl", "curl")
	ssetest.Need(t, "bash", "bash")
	// From the id before: the third event comes, and no other.
	output, err := exec.CommandContext(t.Context(), "bash", "-c", strings.Replace(curl, newest, last, 1)+" --silent --max-time 20 | head -4").Output()
	if err != nil || !strings.Contains(string(output), `"the third"`) || strings.Contains(string(output), `"the second"`) {
		t.Errorf("%s: %v", output, err)
	}
	if got := copied("EventSource"); !strings.Contains(got, `new EventSource("`+url+`&lastEventId=`+newest+`")`) || !strings.Contains(got, `addEventListener("message"`) {
		t.Error(got)
	}
	if got := copied("eventstream.js"); !strings.Contains(got, `openStream("`+url+`", {`) || !strings.Contains(got, `lastEventId: "`+newest+`"`) {
		t.Error(got)
	}
	code := copied("Go")
	if !strings.Contains(code, `request.Header.Set("Last-Event-ID", "`+newest+`")`) {
		t.Error(code)
	}
	for _, kind := range []string{"EventSource", "eventstream.js", "Go"} {
		if got := copied(kind); !strings.Contains(got, "events were lost: load everything anew") {
			t.Errorf("%s ignores a gap:\n%s", kind, got)
		}
	}
	if _, err := parser.ParseExpr("func() error {\n" + code + "\n}"); err != nil {
		t.Errorf("%v\n%s", err, code)
	}
}
