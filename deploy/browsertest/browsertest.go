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

// NewFullBrowser returns the profile of a Chromium that ends with the test and has what
// chromium-headless-shell lacks, such as the back/forward cache.
func NewFullBrowser(t *testing.T) *Profile {
	t.Helper()
	chromium, end, err := launch(find(t, "chromium-browser", "google-chrome", "chrome"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(end)
	return &Profile{Chromium: chromium}
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

// start starts the Chromium that tests share. It is chromium-headless-shell if that is
// installed: the same engine without a user interface, at three fifths of the
// processor time.
func start(t *testing.T) context.Context {
	t.Helper()
	path := find(t, "chromium-headless-shell", "chrome-headless-shell", "chromium-browser", "google-chrome", "chrome")
	once.Do(func() {
		chromium, stop, err := launch(path)
		if err != nil {
			t.Fatal(err)
		}
		shared, end = chromium, stop
	})
	if shared == nil {
		t.Fatal("Chromium did not start: see the test that ran first")
	}
	return shared
}

// launch starts a Chromium without what only costs time here: pages of its user
// interface, renderers in reserve, updates.
func launch(path string) (chromium context.Context, end func(), err error) {
	dir, err := os.MkdirTemp("", "sse-demo-chromium-")
	if err != nil {
		return nil, nil, err
	}
	allocator, cancelAllocator := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WindowSize(1000, 700),
		chromedp.UserDataDir(dir), chromedp.WSURLReadTimeout(time.Minute),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-component-extensions-with-background-pages", true),
		chromedp.Flag("disable-features", "Translate,WebUIOmniboxPopup,WebUIOmniboxAimPopup,SpareRendererForSitePerProcess,MediaRouter,OptimizationHints"))...)
	chromium, cancel := chromedp.NewContext(allocator)
	end = func() {
		cancel()
		cancelAllocator()
		_ = os.RemoveAll(dir)
	}
	if err := chromedp.Do(chromium); err != nil {
		end()
		return nil, nil, err
	}
	return chromium, end, nil
}

// find returns the path of the first of the names that is installed, or of chromium, as
// Debian names it.
func find(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ssetest.Need(t, "chromium", "chromium")
}
