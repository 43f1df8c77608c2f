package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/sse-demo/cmd/sse-demo/check"
	"example.com/sse-demo/deploy/proxytest"
	"example.com/sse-demo/sse/ssetest"
)

func behindApache(t *testing.T, p *program, changes ...string) string {
	changes = append([]string{"Listen 8080", "Listen ADDR"}, changes...)
	return proxytest.Start(t, root+"/deploy/apache.conf", []string{p.addr}, proxytest.Apache, changes...)
}

// largeFirst is a server whose answers begin with an event that is large enough for a
// compressor to begin.
func largeFirst(t *testing.T) *program {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-cache")
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for n := range 30 {
			_, _ = fmt.Fprintf(w, "data: %d %s\n\n", n, strings.Repeat("x", max(0, 600-600*n)))
			_ = http.NewResponseController(w).Flush()
			<-tick.C
		}
	}))
	t.Cleanup(server.Close)
	return &program{T: t, addr: server.Listener.Addr().String()}
}

// TestCheckPost tries the stream that answers a POST, a job of 3 s, directly and
// through proxies. nginx holds it back if it buffers, and Caddy if it compresses.
func TestCheckPost(t *testing.T) {
	t.Parallel()
	ssetest.Need(t, "caddy", "caddy") // before others run: a test cannot be skipped from the middle
	ssetest.Need(t, "apache2", "apache2-bin")
	ssetest.Need(t, "nginx", "nginx-light")
	p := start(t, nil, "--cors-origin", "https://app.example.com")
	gzip := []string{"--header", "Accept-Encoding: gzip"}
	caddy := behindCaddy(t, largeFirst(t), "\t\tmatch {", "\t\tmatch {\n\t\t\theader Content-Type text/*")
	deflating := behindApache(t, largeFirst(t), "DEFLATE text/html", "DEFLATE text/event-stream text/html")
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
		"Apache":                            {behindApache(t, p), nil, ""},
		"Apache that compresses, with gzip": {deflating, gzip, ""}, // its compressor is flushed
	} {
		checks.Go(func() {
			args := append([]string{"--data", `{"durationMs":3000}`, tt.url + "/jobs"}, tt.args...)
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
