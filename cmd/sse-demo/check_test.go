package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/sse-demo/cmd/sse-demo/check"
	"example.com/sse-demo/deploy/proxytest"
	"example.com/sse-demo/sse/ssetest"
)

// checked is the service, whose streams all have several events a second.
func checked(t *testing.T, args ...string) *program {
	t.Helper()
	file := filepath.Join(t.TempDir(), "app.log")
	p := start(t, nil, append(args, "--log-file", "app="+file, "--cors-origin", "https://app.example.com")...)
	ctx, stop := context.WithCancel(context.Background()) // longer than t.Context, which ends before the subtests
	var feeding sync.WaitGroup
	t.Cleanup(func() {
		stop()
		feeding.Wait()
	})
	feeding.Go(func() {
		tick := time.NewTicker(150 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ctx.Err() == nil; n++ {
			p.feed(ctx, file, n)
			<-tick.C
		}
	})
	return p
}

// feed publishes an event of more than 1 kB, and adds a line to the file.
func (p *program) feed(ctx context.Context, file string, n int) {
	body := fmt.Sprintf(`{"channel":"news","payload":"%d %s"}`, n, strings.Repeat("x", 1024))
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url("/publish"), strings.NewReader(body))
	if err != nil {
		p.Error(err)
		return
	}
	request.Header.Set("Content-Type", "application/json")
	if response, err := http.DefaultClient.Do(request); err == nil {
		_ = response.Body.Close()
	}
	if f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
		_, _ = fmt.Fprintf(f, "line %d\n", n)
		_ = f.Close()
	}
}

// runCheck returns the findings of a check, without the one that every plain http://
// URL has, and its error.
func runCheck(t *testing.T, args ...string) (findings []check.Result, err error) {
	t.Helper()
	var out, errOut bytes.Buffer
	err = run(t.Context(), append([]string{"check", "--json"}, args...), &out, &errOut)
	var report check.Report
	if jsonErr := json.Unmarshal(out.Bytes(), &report); jsonErr != nil {
		t.Error(jsonErr, err, &errOut)
	}
	for _, r := range report.Results {
		if r.Result == "warn" || r.Result == "fail" {
			if r.Check != "http2" {
				findings = append(findings, r)
			}
		}
	}
	return findings, err
}

// ways are what is between the client and the service: proxies as deploy ships
// them.
var ways = map[string]func(t *testing.T, p *program) (url string){
	"direct": func(_ *testing.T, p *program) string { return p.url("") },
	"nginx": func(t *testing.T, p *program) string {
		return proxytest.Start(t, root+"/deploy/nginx.conf", []string{p.addr}, proxytest.Nginx, proxytest.NginxChanges...)
	},
	"HAProxy": func(t *testing.T, p *program) string { return behindHAProxy(t, p) },
	"Caddy":   func(t *testing.T, p *program) string { return behindCaddy(t, p) },
}

func behindHAProxy(t *testing.T, p *program, changes ...string) string {
	haproxy := func(ctx context.Context, t testing.TB, file, _ string) *exec.Cmd {
		return exec.CommandContext(ctx, ssetest.Need(t, "haproxy", "haproxy"), "-db", "-f", file)
	}
	changes = append([]string{"bind :8080", "bind ADDR", "maxconn 32768", "maxconn 100"}, changes...)
	return proxytest.Start(t, root+"/deploy/haproxy.cfg", []string{p.addr}, haproxy, changes...)
}

func behindCaddy(t *testing.T, p *program, changes ...string) string {
	caddy := func(ctx context.Context, t testing.TB, file, _ string) *exec.Cmd {
		return exec.CommandContext(ctx, ssetest.Need(t, "caddy", "caddy"), "run", "--adapter", "caddyfile", "--config", file)
	}
	changes = append([]string{":8080 {", "http://ADDR {"}, changes...)
	return proxytest.Start(t, root+"/deploy/Caddyfile", []string{p.addr}, caddy, changes...)
}

// behindBufferingNginx is nginx that ignores X-Accel-Buffering.
func behindBufferingNginx(t *testing.T, p *program) string {
	changes := append([]string{"proxy_buffering off; ", "proxy_ignore_headers X-Accel-Buffering; ", "proxy_http_version 1.1;", ""}, proxytest.NginxChanges...)
	return proxytest.Start(t, root+"/deploy/nginx.conf", []string{p.addr}, proxytest.Nginx, changes...)
}

// TestCheckOwnStreams finds nothing in the four streams, through no proxy or one.
func TestCheckOwnStreams(t *testing.T) {
	t.Parallel()
	p := checked(t)
	bases := map[string]string{}
	for way, url := range ways {
		bases[way] = url(t, p) // if a proxy is missing, the test ends here
	}
	for way, base := range bases {
		var checks sync.WaitGroup // not all at once: a machine that is too slow makes bursts, too
		for _, path := range []string{
			"/stream/tick?interval=200", "/stream/channel?name=news", "/stream/channel?name=news&replay=20",
			"/stream/log", "/stream/progress?id=" + way,
		} {
			checks.Go(func() {
				findings, err := runCheck(t, "--for", "2s", "--all-methods", "--origin", "https://app.example.com", base+path)
				if err != nil || len(findings) > 0 {
					t.Errorf("%s%s: %v %+v", way, path, err, findings)
				}
			})
		}
		checks.Wait()
	}
}

// TestCheckBuffering finds the fault of proxies that buffer, whatever the service
// says.
func TestCheckBuffering(t *testing.T) {
	t.Parallel()
	ssetest.Need(t, "caddy", "caddy") // before others run: a test cannot be skipped from the middle
	ssetest.Need(t, "haproxy", "haproxy")
	ssetest.Need(t, "nginx", "nginx-light")
	p := checked(t)
	var checks sync.WaitGroup
	for name, tt := range map[string]struct {
		url  func(t *testing.T) string
		path string
		want string // the first finding
	}{
		"nginx holds all back":  {func(t *testing.T) string { return behindBufferingNginx(t, p) }, "/stream/tick?interval=10000", "head fail"},
		"nginx holds some back": {func(t *testing.T) string { return behindBufferingNginx(t, p) }, "/stream/channel?name=news&replay=5", "delivery"},
		"HAProxy waits for the body": {func(t *testing.T) string {
			return behindHAProxy(t, p, "server one", "http-response wait-for-body time 3s at-least 16000\n    server one")
		}, "/stream/tick", "head warn"},
		"Caddy compresses": {func(t *testing.T) string {
			return behindCaddy(t, p, "\t\tmatch {", "\t\tmatch {\n\t\t\theader Content-Type text/*")
		}, "/stream/channel?name=news&replay=5", "compression fail"},
	} {
		url := tt.url(t)
		checks.Go(func() {
			findings, err := runCheck(t, "--for", "6s", "--compare", p.url(tt.path), url+tt.path)
			if err != nil && !errors.Is(err, check.ErrFailed) {
				t.Errorf("%s: %v", name, err)
			}
			if strings.HasPrefix(tt.want, "head") && !strings.Contains(fmt.Sprint(findings), "; without the proxy 200 OK after ") {
				t.Errorf("%s: %+v does not name the proxy", name, findings)
			}
			if len(findings) == 0 || !strings.HasPrefix(findings[0].Check+" "+findings[0].Result, tt.want) {
				t.Errorf("%s: %+v, want %s", name, findings, tt.want)
			}
		})
	}
	checks.Wait()
}

// TestCheckStatus: the exit statuses, and one line on stderr if it could not try.
func TestCheckStatus(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	for _, tt := range []struct {
		status int
		args   []string
	}{
		{0, []string{p.url("/stream/tick?interval=100"), "--for", "1s"}},
		{1, []string{p.url("/nothing")}},
		{2, []string{"http://nosuch.invalid/"}},
		{2, []string{"http://127.0.0.1:1/"}},
		{2, []string{"--bogus"}},
		{0, []string{"--help"}},
	} {
		cmd := programCommand(t, nil, append([]string{"check"}, tt.args...)...)
		var errOut bytes.Buffer
		cmd.Stderr = &errOut
		out, err := cmd.Output()
		lines := strings.Count(errOut.String(), "\n")
		if status := cmd.ProcessState.ExitCode(); status != tt.status || (lines == 1) != (status == 2) || lines > 1 || (len(out) == 0) != (status == 2) {
			t.Errorf("%q: status %d (%v), want %d\n%s%s", tt.args, status, err, tt.status, out, &errOut)
		}
	}
}
