package deploy_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"example.com/sse-demo/sse/ssetest"
)

// startDevServer starts a development server of npm in front of the service, with the
// script and its arguments, until the test ends, and returns its address.
func startDevServer(t *testing.T, dir string, p *process, script ...string) string {
	t.Helper()
	node := ssetest.Need(t, "node", "nodejs")
	addr := ssetest.FreeAddr(t)
	_, port, _ := strings.Cut(addr, ":")
	cmd := exec.CommandContext(t.Context(), node, append(script, "--port", port)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it ends its own children
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "SERVICE=http://"+p.addr, "NEXT_TELEMETRY_DISABLED=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Cancel()
		_ = cmd.Wait()
	})
	ssetest.AwaitServer(t, addr)
	return addr
}

// openThrough opens a stream through a development server, with the channel news of
// the service behind it, and checks that each event is passed on at once.
func openThrough(t *testing.T, url string, p *process) (*http.Response, *ssetest.Reader) {
	t.Helper()
	response := get(t, url) // returns, so the head is passed on at once
	events := ssetest.NewReader(response.Body)
	for _, text := range []string{"one", "two"} {
		publishHTML(t, p.addr, "news", text)
		if e, err := events.Next(); err != nil || e.Data != text {
			t.Fatal(url, e, err)
		}
	}
	return response, events
}

func get(t *testing.T, url string) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), interopWait)
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// TestViteProxy: Vite's development server passes each event on at once, and the
// end of the stream.
func TestViteProxy(t *testing.T) {
	t.Parallel()
	const vite = "node_modules/vite/bin/vite.js"
	if _, err := os.Stat(filepath.Join(frameworks, vite)); err != nil {
		ssetest.Missing(t, "deploy/frameworks/node_modules", "npm ci --prefix deploy/frameworks")
	}
	p := startProcess(t, "")
	url := "http://" + startDevServer(t, frameworks, p, vite, "--host", "127.0.0.1", "--strictPort") + "/stream/channel?name=news"
	_, events := openThrough(t, url, p)
	p.stop(t)
	defer p.start(t) // for the cleanup
	if _, err := events.Next(); err == nil {
		t.Error("the stream has not ended with the service")
	}
	if away := get(t, url); away.StatusCode != http.StatusInternalServerError { // docs/frameworks.md says so
		t.Error(away.Status)
	}
}

// TestNext: Next.js passes streams on, by a route handler and by rewrites, which cut a
// silent one and do not compress what says no-transform.
func TestNext(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(frameworks, "next")
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		ssetest.Missing(t, dir+"/node_modules", "npm ci --prefix "+dir)
	}
	// An app of its own, for what Next.js writes into its folder.
	app, err := os.MkdirTemp(dir, "app-") //nolint:usetesting // below the packages
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(app) })
	route, err := os.ReadFile(filepath.Join(dir, "route.ts"))
	if err != nil {
		t.Fatal(err)
	}
	const config = "import config from '../next.config.mjs'\nexport default { ...config, experimental: { proxyTimeout: 3000 } }\n"
	for name, text := range map[string]string{"app/events/route.ts": string(route), "next.config.mjs": config} {
		path := filepath.Join(app, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := startProcess(t, "")
	url := "http://" + startDevServer(t, app, p, "../node_modules/next/dist/bin/next", "dev", "--hostname", "127.0.0.1")

	openThrough(t, url+"/events?name=news", p)
	response, events := openThrough(t, url+"/stream/channel?name=news", p)
	if response.Uncompressed { // Go asks for gzip by itself, and says if it came
		t.Error("a stream was compressed")
	}
	if e, err := events.Next(); err == nil { // the service's heartbeat is 15 s
		t.Errorf("a silent stream was not cut after proxyTimeout, and %v came", e)
	}
}
