package web_test

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// TestOtherMedia: a phone, a printer, and a browser without scripts.
func TestOtherMedia(t *testing.T) {
	t.Parallel()
	s := startService(t)
	s.writeLog("a line of the log")
	p := startBrowser(t).open(s, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 800, Height: 900, DeviceScaleFactor: 1})
		return err
	}))
	p.until(all("open"))
	const wires = `document.querySelectorAll("details.wire[open]").length`
	if got := p.eval(wires); got != "0" {
		t.Errorf("at 800 px %s wires are open at the beginning", got)
	}
	p.eval(in("log", ".wire summary") + `.click()`)
	p.until(text("log", ".wire pre") + `.includes("data: a line of the log")`)

	const shown = `(selector) => [...document.querySelectorAll(selector)].filter((e) => e.checkVisibility()).length`
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
	p.until(`(` + shown + `)("button, form, .copy") === 0 && (` + shown + `)("h2, .price, .lines li") > 5`)
	if got := p.eval(`getComputedStyle(` + in("log", ".wire pre") + `).backgroundColor`); got != "rgba(0, 0, 0, 0)" {
		t.Error("a printed wire has a background:", got)
	}

	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{})
	call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	p.do(chromedp.Reload())
	p.until(`(` + shown + `)("h2") === 4`)
	if got := p.eval(`(` + shown + `)("button, input, select, textarea, .price, .health, [role=log]")`); got != "0" {
		t.Errorf("without scripts %s things are shown that do nothing", got)
	}
	if got := p.eval(`document.body.innerText`); !strings.Contains(got, "needs JavaScript") || strings.Count(got, "curl -N") != 4 {
		t.Error(got)
	}
}
