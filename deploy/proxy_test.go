// Package deploy_test runs real proxies with the configurations of this folder.
package deploy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"example.com/sse-demo/deploy/proxytest"
	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/routes"
	"example.com/sse-demo/routes/job"
	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/ssetest"
)

// patience is how long a test waits for what should come at once.
const patience = 20 * time.Second

// setup is the service behind a proxy.
type setup struct {
	*testing.T
	broker  *pubsub.Memory
	handler http.Handler
	drain   func() // ends its streams
	url     string // of the proxy
}

// service returns the handler, whose heartbeats come every 200 ms.
func service(t *testing.T) *setup {
	t.Helper()
	return serviceOn(t, newBroker())
}

func newBroker() *pubsub.Memory { return pubsub.NewMemory(1024, 64<<20) }

func serviceOn(t *testing.T, broker *pubsub.Memory) *setup {
	t.Helper()
	jobs := job.NewManager(zerolog.Nop(), job.NewJournal())
	t.Cleanup(jobs.Close)
	handler := routes.New(routes.Config{
		Stream:     sse.Options{Retry: time.Second, Heartbeat: 200 * time.Millisecond, WriteTimeout: 10 * time.Second},
		MaxStreams: 100, Logger: zerolog.Nop(), Broker: broker, Jobs: jobs,
	})
	t.Cleanup(handler.Drain)
	return &setup{T: t, broker: broker, handler: handler, drain: handler.Drain}
}

// behind starts the handler and a proxy in front of it.
func (s *setup) behind(config string, command proxytest.Command, changes ...string) {
	s.Helper()
	upstream := httptest.NewServer(s.handler)
	s.Cleanup(upstream.Close)
	s.url = proxytest.Start(s.T, config, []string{upstream.Listener.Addr().String()}, command, changes...)
}

func (s *setup) eventually(what string, ok func() bool) {
	s.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			s.Fatal("waited in vain: ", what)
		}
	}
}

// open opens the stream of channel a through the proxy. It ends with ctx.
func (s *setup) open(ctx context.Context, header http.Header) *ssetest.Reader {
	s.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/stream/channel?name=a&replay=1000", nil)
	if err != nil {
		s.Fatal(err)
	}
	request.Header = header
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = response.Body.Close() })
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != sse.MediaType {
		s.Fatal(response.Status, response.Header)
	}
	return ssetest.NewReader(response.Body)
}

func (s *setup) publish(data string) {
	s.Helper()
	if _, err := s.broker.Publish(s.Context(), "a", "", []byte(data)); err != nil {
		s.Fatal(err)
	}
}

// connections asks the service itself.
func (s *setup) connections() int {
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, httptest.NewRequestWithContext(s.Context(), http.MethodGet, "/health", nil))
	var health struct{ Connections map[string]int }
	if err := json.Unmarshal(w.Body.Bytes(), &health); err != nil {
		s.Fatal(err)
	}
	return health.Connections["total"]
}

// check is what a proxy must let through.
func (s *setup) check() {
	s.Helper()
	number := 0
	for _, header := range []http.Header{{}, {"Accept-Encoding": nil}} { // without, Go's client asks for gzip
		ctx, leave := context.WithCancel(s.Context())
		r := s.open(ctx, header)
		s.eventually("the stream is open", func() bool { return s.connections() == 1 })
		fastest := patience
		for range 5 {
			number++
			published := time.Now()
			s.publish(fmt.Sprint(number))
			for {
				e, err := r.Next()
				if err != nil {
					s.Fatal(err)
				}
				if e.Data == fmt.Sprint(number) {
					break
				}
			}
			fastest = min(fastest, time.Since(published))
		}
		if fastest > 100*time.Millisecond {
			s.Errorf("even the fastest event took %v", fastest)
		}
		s.Logf("the fastest event took %v", fastest)
		leave()
		s.eventually("the service notices that the client has left", func() bool { return s.connections() == 0 })
	}
	// Nothing but heartbeats, for three times the idle timeout.
	ctx, leave := context.WithCancel(s.Context())
	defer leave()
	r := s.open(ctx, nil)
	began := time.Now()
	idle := time.AfterFunc(3*time.Second, func() { s.publish(`"end"`) })
	defer idle.Stop()
	for {
		e, err := r.Next()
		if err != nil {
			s.Fatalf("cut off after %v: %v", time.Since(began), err)
		}
		if e.Data == `"end"` {
			break
		}
	}
	if len(r.Comments) < 5 {
		s.Errorf("%d heartbeats", len(r.Comments))
	}
}

func (s *setup) behindNginx(changes ...string) {
	s.Helper()
	s.behind("nginx.conf", proxytest.Nginx, append(slices.Clone(proxytest.NginxChanges), changes...)...)
}

func TestNginx(t *testing.T) {
	t.Parallel() // they mostly wait
	s := service(t)
	s.behindNginx("read_timeout 60s", "read_timeout 1s")
	s.check()
}

// TestNginxWithGzip compresses what it can, event streams included.
func TestNginxWithGzip(t *testing.T) {
	t.Parallel() // they mostly wait
	s := service(t)
	s.behindNginx(
		"read_timeout 60s", "read_timeout 1s",
		"access_log off;", "access_log off; gzip on; gzip_proxied any; gzip_min_length 0; gzip_types text/event-stream;",
	)
	s.check()
}

// plainNginx is nginx as it comes: it buffers, and speaks HTTP/1.0.
var plainNginx = []string{
	"proxy_buffering off; ", "", "proxy_http_version 1.1;", "", `proxy_set_header Connection "";`, "", "read_timeout 60s", "read_timeout 1s",
}

// TestNginxWithItsDefaults: X-Accel-Buffering: no alone saves the stream.
func TestNginxWithItsDefaults(t *testing.T) {
	t.Parallel() // they mostly wait
	s := service(t)
	s.behindNginx(plainNginx...)
	s.check()
}

// withoutAccel takes the header away.
type withoutAccel struct{ http.ResponseWriter }

func (w withoutAccel) WriteHeader(status int) {
	w.Header().Del("X-Accel-Buffering")
	w.ResponseWriter.WriteHeader(status)
}

func (w withoutAccel) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// TestNginxHoldsBack shows what happens without that header: not even the head
// of the stream arrives.
func TestNginxHoldsBack(t *testing.T) {
	t.Parallel() // they mostly wait
	s := service(t)
	inner := s.handler
	s.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { inner.ServeHTTP(withoutAccel{w}, r) })
	s.behindNginx(plainNginx...)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/stream/channel?name=a", nil)
	if err != nil {
		t.Fatal(err)
	}
	published := time.AfterFunc(100*time.Millisecond, func() { s.publish("1") })
	defer published.Stop()
	response, err := http.DefaultClient.Do(request)
	if err == nil {
		defer func() { _ = response.Body.Close() }()
		_, err = ssetest.NewReader(response.Body).Next()
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nginx held nothing back: %v", err)
	}
}

func haproxy(ctx context.Context, t testing.TB, file, _ string) *exec.Cmd {
	return exec.CommandContext(ctx, ssetest.Need(t, "haproxy", "haproxy"), "-db", "-f", file)
}

func caddy(ctx context.Context, t testing.TB, file, _ string) *exec.Cmd {
	return exec.CommandContext(ctx, ssetest.Need(t, "caddy", "caddy"), "run", "--adapter", "caddyfile", "--config", file)
}

var (
	haproxyChanges = []string{"bind :8080", "bind ADDR", "maxconn 32768", "maxconn 100"}
	caddyChanges   = []string{":8080 {", "http://ADDR {"}
)

func TestHAProxy(t *testing.T) {
	t.Parallel() // they mostly wait
	s := service(t)
	s.behind("haproxy.cfg", haproxy, append(slices.Clone(haproxyChanges),
		"timeout client 60s", "timeout client 1s", "timeout server 60s", "timeout server 1s")...)
	s.check()
}

func TestCaddy(t *testing.T) {
	t.Parallel() // they mostly wait
	s := service(t)
	s.behind("Caddyfile", caddy, caddyChanges...)
	s.check()
}

func TestApache(t *testing.T) {
	t.Parallel() // they mostly wait
	s := service(t)
	s.behind("apache.conf", proxytest.Apache, "Listen 8080", "Listen ADDR", "ProxyTimeout 60", "ProxyTimeout 1")
	s.check()
}

// varnish listens at the address in the first comment after the version: its
// configuration has none.
func varnish(ctx context.Context, t testing.TB, file, dir string) *exec.Cmd {
	server := ssetest.Need(t, "varnishd", "varnish")
	config, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, addr, _ := strings.Cut(string(config), "vcl 4.1;\n# ")
	addr, _, _ = strings.Cut(addr, "\n")
	return exec.CommandContext(ctx, server, "-F", "-j", "none", "-n", filepath.Join(dir, "work"), "-f", file, "-a", addr, "-s", "malloc,10m")
}

func TestVarnish(t *testing.T) {
	t.Parallel()                  // they mostly wait
	ssetest.Need(t, "gcc", "gcc") // Varnish compiles its configuration
	s := service(t)
	s.behind("varnish.vcl", varnish, "vcl 4.1;", "vcl 4.1;\n# ADDR", "_timeout = 60s", "_timeout = 1s")
	s.check()
}
