package deploy_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"example.com/sse-demo/deploy/browsertest"
	"example.com/sse-demo/deploy/proxytest"
	"example.com/sse-demo/sse/ssetest"
)

// A replica is one of several services on one broker, which can be restarted.
type replica struct {
	*setup
	addr   string
	server *http.Server
}

func (r *replica) start() {
	r.Helper()
	r.setup = serviceOn(r.T, r.broker)
	r.server = &http.Server{Handler: withPage(r.handler)}
	listener := ssetest.Listen(r.T, r.addr)
	go func(server *http.Server, listener net.Listener) { _ = server.Serve(listener) }(r.server, listener)
}

// stop ends the streams cleanly, and then refuses connections.
func (r *replica) stop() {
	r.Helper()
	r.drain()
	if err := r.server.Shutdown(r.Context()); err != nil {
		r.Error(err)
	}
}

// withPage adds a page whose EventSource notes what it gets.
func withPage(service http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", service)
	mux.HandleFunc("GET /test", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, `<!doctype html><title>test</title><script>
			var got = [], losses = 0
			var events = new EventSource('/stream/channel?name=a&replay=1000')
			events.onmessage = (event) => got.push(event.data)
			events.onerror = () => losses++
			events.addEventListener('gap', () => got.push('gap'))
		</script>`)
	})
	return mux
}

// TestRollingRestart restarts three replicas one by one behind each proxy, and then
// all at once. Each is away for a second and a half, while events are published. No publication fails
// as long as one replica is there (but for a few with Caddy, as its configuration
// says), and the EventSource of a browser gets every event once.
func TestRollingRestart(t *testing.T) {
	browser := browsertest.NewProfile(t)
	for name, proxy := range map[string]struct {
		config   string
		command  proxytest.Command
		changes  []string
		failures int // publications that may fail
	}{
		"nginx":   {"nginx.conf", proxytest.Nginx, proxytest.NginxChanges, 0},
		"HAProxy": {"haproxy.cfg", haproxy, haproxyChanges, 0},
		"Caddy":   {"Caddyfile", caddy, caddyChanges, 9},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they mostly wait
			rolling := newRolling(t)
			rolling.failures = proxy.failures
			url := proxytest.Start(t, proxy.config, rolling.addrs(), proxy.command, proxy.changes...)
			rolling.run(t, browser, url)
		})
	}
}

type rolling struct {
	replicas  []*replica
	published []string
	failures  int // publications that may still fail
}

func newRolling(t *testing.T) *rolling {
	t.Helper()
	broker := newBroker()
	r := &rolling{}
	for range 3 {
		one := &replica{setup: &setup{T: t, broker: broker}, addr: ssetest.FreeAddr(t)}
		one.start()
		t.Cleanup(func() { _ = one.server.Close() })
		r.replicas = append(r.replicas, one)
	}
	return r
}

func (r *rolling) addrs() (addrs []string) {
	for _, one := range r.replicas {
		addrs = append(addrs, one.addr)
	}
	return addrs
}

func (r *rolling) run(t *testing.T, browser *browsertest.Profile, url string) {
	t.Helper()
	tab := browser.NewTab(t)
	await := func(condition string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(tab, 3*patience)
		defer cancel()
		if _, err := chromedp.Run(ctx, chromedp.Poll[bool](condition, chromedp.WithPollingInterval(50*time.Millisecond))); err != nil {
			got, _ := chromedp.Run(tab, chromedp.Evaluate[string](`JSON.stringify({state: events.readyState, losses, got})`))
			t.Fatalf("waited in vain: %s: %v\npublished %v\npage %s", condition, err, r.published, got)
		}
	}
	if err := chromedp.Do(tab, chromedp.Navigate(url+"/test")); err != nil {
		t.Fatal(err)
	}
	await(`events.readyState === 1`)

	for _, one := range r.replicas {
		one.stop()
		r.publish(t, url, 75)
		one.start()
		r.publish(t, url, 30)
	}
	for _, one := range r.replicas {
		one.stop()
	}
	await(`window.before === undefined ? (window.before = losses, false) : losses >= before + 2`)
	for _, one := range r.replicas {
		one.start()
	}
	r.replicas[0].eventually("the proxy has a replica again", func() bool {
		response, err := http.DefaultClient.Get(url + "/health") //nolint:noctx // it is answered at once
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	r.publish(t, url, 1)
	await(fmt.Sprintf(`got.length >= %d`, len(r.published)))
	got, err := chromedp.Run(tab, chromedp.Evaluate[string](`got.join()`))
	if err != nil {
		t.Fatal(err)
	}
	if got != strings.Join(r.published, ",") {
		t.Errorf("the page has %s, want %s", got, r.published)
	}
}

// publish publishes n events through the proxy, one every 20 ms, and one that fails
// again.
func (r *rolling) publish(t *testing.T, url string, n int) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := len(r.published) + n; len(r.published) < end; <-tick.C {
		data := fmt.Sprint(len(r.published))
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/publish", strings.NewReader(`{"channel":"a","payload":`+data+`}`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		isProxys := response.StatusCode == http.StatusBadGateway || response.StatusCode == http.StatusServiceUnavailable
		if isProxys && r.failures > 0 {
			r.failures--
			continue
		}
		if response.StatusCode != http.StatusOK {
			t.Fatalf("event %s: %s", data, response.Status)
		}
		r.published = append(r.published, data)
	}
}
