package web_test

import (
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

const jobID = `document.querySelector(".job-id").textContent`

func (p *tab) choose(name, value string) {
	p.Helper()
	p.eval(fmt.Sprintf(`(() => { const e = %s; e.value = %q; e.dispatchEvent(new Event("change", {bubbles: true})) })()`, in("progress", `[name="`+name+`"]`), value))
}

// TestJob: a job goes on after a reload, can be stopped, and a short one succeeds.
func TestJob(t *testing.T) {
	t.Parallel()
	s := startService(t)
	s.files = map[string][]string{"index.html": {`<option value="5000">`, `<option value="500">`}}
	p := startBrowser(t).open(s)
	p.until(state("progress", "open"))
	const percent = `document.querySelector("progress").value`
	start := func(durationMs string) {
		before := p.eval(jobID)
		p.choose("durationMs", durationMs)
		p.click("progress", "start-job")
		p.until(jobID + ` !== "` + before + `"`)
	}
	start("60000")
	p.until(percent + " > 0")
	id, before := p.eval(jobID), p.eval(percent)
	p.do(chromedp.Reload())
	p.until(state("progress", "open") + " && " + percent + " > " + before)
	if got := p.eval(jobID); got != id {
		t.Errorf("after a reload the job is %s, it was %s", got, id)
	}
	p.click("progress", "stop-job")
	p.until(`document.querySelector(".stage").textContent === "cancelled" && ` + state("progress", "closed"))
	p.do(chromedp.Reload())
	p.until(`document.querySelector(".stage")?.textContent === "cancelled" && ` + state("progress", "closed"))
	start("500")
	p.until(percent + " === 100")
	p.until(state("progress", "closed") + ` && document.querySelector(".stage").textContent === "succeeded"`)
	p.click("progress", "toggle") // 204: there is nothing more to come
	p.until(`[...document.querySelectorAll('[data-stream="progress"] [data-kind="response"]')].at(-1).textContent.startsWith("204")`)
	p.until(state("progress", "closed"))
	p.showsNoProblem("progress")
	p.clean(s)
}

// TestJobInTwoTabs: the second tab joins the job, and starts none, also after the
// first has closed.
func TestJobInTwoTabs(t *testing.T) {
	t.Parallel()
	s := startService(t)
	b := startBrowser(t)
	b.open(s, withoutScripts) // keeps the browser open
	first := b.open(s)
	first.until(state("progress", "open") + ` && document.querySelector("progress").value > 0`)
	id := first.eval(jobID)
	second := b.open(s)
	second.until(state("progress", "open") + ` && document.querySelector("progress").value > 0`)
	if got := second.eval(jobID); got != id {
		t.Errorf("the second tab has job %s, the first %s", got, id)
	}
	call(first, page.Close, cdp.Empty{})
	call(second, page.Close, cdp.Empty{})
	third := b.open(s)
	third.until(state("progress", "open") + ` && document.querySelector("progress").value > 0`)
	if got := third.eval(jobID); got != id {
		t.Errorf("a tab that is opened later has job %s, before it was %s", got, id)
	}
	if n := s.jobsStarted.Load(); n != 1 {
		t.Errorf("%d jobs were started", n)
	}
}

// TestLostJob: a job does not outlive its service, and the page says so, as it
// does to a reader who comes later.
func TestLostJob(t *testing.T) {
	t.Parallel()
	s := startService(t)
	b := startBrowser(t)
	p := b.open(s)
	p.until(state("progress", "open") + ` && document.querySelector("progress").value > 0`)
	id := p.eval(jobID)
	s.stop() // the stream may still get the end of the job, or not
	s.start()
	lost := "The job " + id + " is lost: the service that ran it has ended or restarted. No new one has begun."
	p.until(text("progress", ".job-notice") + fmt.Sprintf(` === %q`, lost))
	p.until(state("progress", "closed") + ` && document.querySelector(".stage").textContent === "lost"`)

	other := b.open(s)
	other.until(state("progress", "closed") + ` && ` + jobID + fmt.Sprintf(` === %q`, id))
	p.click("progress", "start-job")
	p.until(state("progress", "open") + ` && document.querySelector("progress").value > 0 && ` + text("progress", ".job-notice") + ` === ""`)
	id = p.eval(jobID)
	other.until(jobID + fmt.Sprintf(` === %q`, id))
	if got := other.eval(text("progress", ".job-notice")); got != "" {
		t.Errorf("the other tab shows job %s and says %q", id, got)
	}
	call(other, page.Close, cdp.Empty{})
	p.until(`JSON.parse(localStorage.getItem("sse-demo.job")).id === "` + id + `"`) // a page that is left may write it too late
	p.do(chromedp.Navigate("about:blank"))
	s.stop()
	s.start()
	p.do(chromedp.Navigate("http://" + s.addr + "/"))
	p.until(text("progress", ".job-notice") + `.startsWith("The job ` + id + ` is lost")`)
	p.until(state("progress", "closed"))
	if n := s.jobsStarted.Load(); n != 2 {
		t.Errorf("%d jobs were started", n)
	}
}

// TestEndedJob: a page that is opened long after its job shows how that has ended,
// and starts none under its name.
func TestEndedJob(t *testing.T) {
	t.Parallel()
	s := startService(t)
	p := startBrowser(t).open(s, beforeScripts(`localStorage["sse-demo.job"] =
		'{"id":"an-old-job","lastEventId":"1700000000000-18446744073709551615","status":"succeeded"}'`))
	p.until(jobID + ` === "an-old-job" && document.querySelector(".stage").textContent !== ""`)
	if got := p.eval(`document.querySelector(".stage").textContent + " " + document.querySelector("progress").value`); got != "succeeded 100" {
		t.Errorf("the job is shown as %s", got)
	}
	p.until(state("progress", "closed"))
}

// TestAnswer: the text grows, goes on after a reload, is the same in a second tab,
// and stops.
func TestAnswer(t *testing.T) {
	t.Parallel()
	s := startService(t)
	b := startBrowser(t)
	p := b.open(s)
	p.until(state("progress", "open"))
	p.choose("kind", "answer")
	p.fill(`section[data-stream="progress"] form`, "prompt", "")
	p.click("progress", "start-job")
	p.until(text("progress", `[data-for="prompt"]`) + `.startsWith("prompt")`)
	p.fill(`section[data-stream="progress"] form`, "prompt", "Why does an event need an id?")
	p.click("progress", "start-job")
	const answer = `document.querySelector(".answer").textContent`
	p.until(answer + `.length > 20`)
	id, begin := p.eval(jobID), p.eval(answer)
	p.do(chromedp.Reload())
	p.until(answer + fmt.Sprintf(`.startsWith(%q) && %s === %q`, begin, jobID, id))
	other := b.open(s)
	other.until(answer + fmt.Sprintf(`.startsWith(%q) && %s === %q`, begin, jobID, id))
	for _, p := range []*tab{p, other} {
		p.until(`document.querySelector(".stage").textContent === "succeeded" && ` + state("progress", "closed"))
	}
	whole := p.eval(answer)
	if got := other.eval(answer); got != whole {
		t.Errorf("the second tab has %q, the first %q", got, whole)
	}
	other.do(chromedp.Reload()) // a job that has ended is kept for a minute
	other.until(answer + fmt.Sprintf(` === %q`, whole))

	p.choose("kind", "answer")
	p.click("progress", "start-job")
	// The page itself stops it in the middle, because this test may be too slow for that.
	p.eval(fmt.Sprintf(`(() => { const timer = setInterval(() => {
		if (!(%s) || ["", %s].includes(%s)) return;
		clearInterval(timer);
		%s.click();
	}, 20) })()`, state("progress", "open"), quote(whole), answer, in("progress", `[data-action="stop-job"]`)))
	p.until(`document.querySelector(".stage").textContent === "cancelled"`)
	if got := p.eval(answer); got == "" || len(got) >= len(whole) {
		t.Errorf("what was written before the stop is %q", got)
	}
}
