package deploy_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"example.com/sse-demo/deploy/browsertest"
	"example.com/sse-demo/sse/ssetest"
)

const frameworks = "frameworks"

// runFrameworks runs a program of npm in the folder of the frameworks.
func runFrameworks(t *testing.T, env []string, args ...string) {
	t.Helper()
	ssetest.Need(t, "node", "nodejs")
	if _, err := os.Stat(filepath.Join(frameworks, "node_modules")); err != nil {
		ssetest.Missing(t, "deploy/frameworks/node_modules", "npm ci --prefix deploy/frameworks")
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join("node_modules", ".bin", args[0]), args[1:]...)
	cmd.Dir, cmd.Env = frameworks, append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%q: %v\n%s", args, err, out)
	}
}

// TestFrameworkTypes checks the types of all code of docs/frameworks.md and docs/state.md.
func TestFrameworkTypes(t *testing.T) {
	t.Parallel()
	runFrameworks(t, nil, "vue-tsc", "-p", ".")
	runFrameworks(t, nil, "svelte-check", "--tsconfig", "./tsconfig.svelte.json", "--fail-on-warnings")
}

var (
	buildOnce sync.Once
	built     string // folder
)

// builtPages builds the pages of the frameworks, once for all tests, and for
// development: only then StrictMode mounts twice.
func builtPages(t *testing.T) string {
	t.Helper()
	buildOnce.Do(func() {
		dir := laterRemoved(t)
		runFrameworks(t, []string{"NODE_ENV=development"}, "vite", "build", "--mode", "development", "--logLevel", "error", "--outDir", dir)
		built = dir
	})
	if built == "" {
		t.Skip("there are no pages: see the test that ran first")
	}
	return built
}

// A frontDoor serves the pages, and passes streams on to the service.
type frontDoor struct {
	*httptest.Server
	opened, open atomic.Int64  // streams, until now and at present
	ended        chan struct{} // receives when one ends
}

func startFrontDoor(t *testing.T, pages, service string) *frontDoor {
	t.Helper()
	f := &frontDoor{ended: make(chan struct{}, 1)}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: service})
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServer(http.Dir(pages)))
	mux.HandleFunc("GET /stream/", func(w http.ResponseWriter, r *http.Request) {
		f.opened.Add(1)
		f.open.Add(1)
		defer func() {
			f.open.Add(-1)
			select {
			case f.ended <- struct{}{}:
			default: // it is to look anyway
			}
		}()
		proxy.ServeHTTP(w, r)
	})
	f.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		f.CloseClientConnections()
		f.Close()
	})
	return f
}

// awaitEnd waits until no stream is open.
func (f *frontDoor) awaitEnd(t *testing.T) {
	t.Helper()
	late := time.After(interopWait)
	for f.open.Load() > 0 {
		select {
		case <-f.ended:
		case <-late:
			t.Fatalf("%d streams are still open", f.open.Load())
		}
	}
}

// browserTab is a page in a real Chromium.
type browserTab struct {
	*testing.T
	ctx context.Context //nolint:containedctx // chromedp keeps the tab in it
}

func openTab(t *testing.T, browser *browsertest.Profile, address string) *browserTab {
	t.Helper()
	ctx := browser.NewTab(t)
	if err := chromedp.Do(ctx, chromedp.Navigate(address)); err != nil {
		t.Fatal(err)
	}
	return &browserTab{t, ctx}
}

// await waits until an expression is true.
func (b *browserTab) await(expression string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, interopWait)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](expression, chromedp.WithPollingInterval(50*time.Millisecond))); err != nil {
		b.Fatalf("%s: %v; the page shows %.300q", expression, err, b.text())
	}
}

// text is what the page lists, without anything between the entries.
func (b *browserTab) text() string {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, interopWait) // the page may be busy for ever
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`[...document.querySelectorAll("li")].map((li) => li.textContent).join("")`))
	if err != nil {
		b.Fatal(err)
	}
	return text
}

// TestFrameworksInChromium: a component of each framework follows the log of the
// real service over a restart and shows every line once. It opens one stream,
// although StrictMode mounts it twice, and leaves none when it is unmounted. After a
// gap it says that lines are missing.
func TestFrameworksInChromium(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"react", "vue", "svelte", "plain"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			browser := browsertest.NewProfile(t)
			p := startProcess(t, "")
			front := startFrontDoor(t, builtPages(t), p.addr)
			tab := openTab(t, browser, front.URL+"/"+name+".html")
			tab.await(`document.querySelector("ol")?.dataset.state === "open"`)
			if opened, open := front.opened.Load(), front.open.Load(); opened != 1 || open != 1 {
				t.Errorf("the component has opened %d streams, of which %d are open", opened, open)
			}
			p.writeLines(t, interopLines)
			tab.await(fmt.Sprintf(`document.querySelector("li:last-child")?.textContent === "line %d"`, interopLines))
			if got := tab.text(); got != allLines() {
				t.Errorf("the page shows %q", got)
			}
			if err := chromedp.Do(tab.ctx, chromedp.Click(chromedp.CSS("button"))); err != nil {
				t.Fatal(err)
			}
			tab.await(`document.querySelector("main").childElementCount === 0 || "` + name + `" === "plain"`)
			front.awaitEnd(t)

			late := openTab(t, browser, front.URL+"/"+name+".html?lastEventId=1-1")
			late.await(`document.querySelector("li")?.textContent === "Some lines are missing here."`)
		})
	}
}
