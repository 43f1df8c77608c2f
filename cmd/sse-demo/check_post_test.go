package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
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

// apacheModules is where Debian has them.
const apacheModules = "/usr/lib/apache2/modules"

// behindApache is Apache as a reverse proxy, with more directives for its location.
func behindApache(t *testing.T, p *program, directives string) string {
	config := "ServerName localhost\nListen ADDR\nPidFile DIR/pid\nErrorLog DIR/error.log\nMutex file:DIR\n"
	for _, module := range []string{"mpm_event", "authz_core", "proxy", "proxy_http", "filter", "deflate"} {
		config += fmt.Sprintf("LoadModule %s_module %s/mod_%s.so\n", module, apacheModules, module)
	}
	config += "<Location />\nProxyPass http://sse-demo:8000/\n" + directives + "\n</Location>\n"
	file := filepath.Join(t.TempDir(), "apache.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	apache := func(ctx context.Context, t testing.TB, file, dir string) *exec.Cmd {
		return exec.CommandContext(ctx, ssetest.Need(t, "apache2", "apache2-bin"), "-d", dir, "-f", file, "-D", "FOREGROUND")
	}
	return proxytest.Start(t, file, []string{p.addr}, apache, "ADDR", "ADDR", "DIR", "DIR")
}

// largeFirst is a server whose answers begin with an event that is large enough for a
// compressor to begin.
func largeFirst(t *testing.T) *program {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-cache")
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for n := range 40 {
			_, _ = fmt.Fprintf(w, "data: %d %s\n\n", n, strings.Repeat("x", max(0, 600-600*n)))
			_ = http.NewResponseController(w).Flush()
			<-tick.C
		}
	}))
	t.Cleanup(server.Close)
	return &program{T: t, addr: server.Listener.Addr().String()}
}

// TestCheckPost tries the stream that answers a POST, a job of 3 s, directly and
// through proxies. It is held back by those that buffer or compress.
func TestCheckPost(t *testing.T) {
	t.Parallel()
	ssetest.Need(t, "caddy", "caddy") // before others run: a test cannot be skipped from the middle
	ssetest.Need(t, "apache2", "apache2-bin")
	ssetest.Need(t, "nginx", "nginx-light")
	p := start(t, nil, "--cors-origin", "https://app.example.com")
	gzip := []string{"--header", "Accept-Encoding: gzip"}
	caddy := behindCaddy(t, largeFirst(t), "\t\tmatch {", "\t\tmatch {\n\t\t\theader Content-Type text/*")
	apache, deflating := behindApache(t, p, ""), behindApache(t, p, "SetOutputFilter DEFLATE")
	var checks sync.WaitGroup
	for name, tt := range map[string]struct {
		url  string
		args []string
		want string // findings
	}{
		"directly":                 {p.url(""), []string{"--origin", "https://app.example.com"}, ""},
		"to an origin not allowed": {p.url(""), []string{"--origin", "https://other.example.com"}, "cors=fail"},
		"nginx":                    {proxytest.Start(t, root+"/deploy/nginx.conf", []string{p.addr}, proxytest.Nginx, proxytest.NginxChanges...), nil, ""},
		"nginx that buffers":       {behindBufferingNginx(t, p), nil, "head=warn delivery=warn"},
		"nginx that buffers, compared": {
			behindBufferingNginx(t, p), []string{"--compare", p.url("/jobs")}, "head=warn delivery=fail",
		},
		"Caddy that compresses":             {caddy, nil, ""},
		"Caddy that compresses, with gzip":  {caddy, gzip, "delivery=warn compression=fail"},
		"Apache":                            {apache, nil, ""},
		"Apache that compresses, with gzip": {deflating, gzip, ""}, // it flushes
	} {
		checks.Go(func() {
			args := append([]string{"--data", `{"durationMs":4000}`, tt.url + "/jobs"}, tt.args...)
			findings, err := runCheck(t, args...)
			if err != nil && !errors.Is(err, check.ErrFailed) {
				t.Errorf("%s: %v", name, err)
			}
			var got []string
			for _, f := range findings {
				got = append(got, f.Check+"="+f.Result)
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("%s: %+v, want %s", name, findings, tt.want)
			}
		})
	}
	checks.Wait()
}
