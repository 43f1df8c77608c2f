// Package browsertest runs tests in a real Chromium, which all tests of a package
// share.
package browsertest

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"example.com/sse-demo/sse/ssetest"
)

// A Profile is a profile of the Chromium: with storage, workers and connections of
// its own.
type Profile struct {
	Chromium context.Context //nolint:containedctx // chromedp keeps the Chromium in it
	id       cdp.BrowserContextID
}

// NewProfile returns a profile that ends with the test. If there is no Chromium the
// test is skipped, or fails in CI.
func NewProfile(t *testing.T) *Profile {
	t.Helper()
	chromium := start(t)
	made, err := chromedp.CallBrowser(chromium, target.CreateBrowserContext, target.CreateBrowserContextParams{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = chromedp.CallBrowser(chromium, target.DisposeBrowserContext, target.DisposeBrowserContextParams(made))
	})
	return &Profile{chromium, made.BrowserContextID}
}

// NewTab returns a tab that ends with the test.
func (p *Profile) NewTab(t *testing.T) context.Context {
	t.Helper()
	tab, cancel := chromedp.NewContext(p.Chromium, chromedp.WithExistingBrowserContext(p.id))
	t.Cleanup(cancel)
	return tab
}

var (
	once   sync.Once
	shared context.Context //nolint:containedctx // as above
	end    = func() {}
)

// End ends the Chromium, if a test has started it. It is for TestMain.
func End() { end() }

// start starts a Chromium without what only costs time here: pages of its user
// interface, renderers in reserve, updates.
func start(t *testing.T) context.Context {
	t.Helper()
	path := find(t)
	once.Do(func() {
		dir, err := os.MkdirTemp("", "sse-demo-chromium-") //nolint:usetesting // it outlives the test
		if err != nil {
			t.Fatal(err)
		}
		allocator, cancelAllocator := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
			chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WindowSize(1000, 700),
			chromedp.UserDataDir(dir), chromedp.WSURLReadTimeout(time.Minute),
			chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
			chromedp.Flag("disable-component-extensions-with-background-pages", true),
			chromedp.Flag("disable-features", "Translate,WebUIOmniboxPopup,WebUIOmniboxAimPopup,SpareRendererForSitePerProcess,MediaRouter,OptimizationHints"))...)
		ctx, cancel := chromedp.NewContext(allocator)
		end = func() {
			cancel()
			cancelAllocator()
			_ = os.RemoveAll(dir)
		}
		if err := chromedp.Do(ctx); err != nil {
			t.Fatal(err)
		}
		shared = ctx
	})
	if shared == nil {
		t.Fatal("Chromium did not start: see the test that ran first")
	}
	return shared
}

func find(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium-browser", "google-chrome", "chrome"} { // elsewhere than on Debian
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ssetest.Need(t, "chromium", "chromium")
}
