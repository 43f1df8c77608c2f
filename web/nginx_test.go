package web_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/sse-demo/deploy/proxytest"
	"example.com/sse-demo/web"
)

// TestBufferingProxy: nginx that buffers whatever the headers say. No stream gets
// through, and the page goes on by long polling.
func TestBufferingProxy(t *testing.T) {
	t.Parallel()
	s := startService(t)
	upstream := httptest.NewServer(impatient(t, s.running.Handler))
	t.Cleanup(upstream.Close)
	t.Cleanup(upstream.CloseClientConnections) // first, for the streams
	url := proxytest.Start(t, "../deploy/nginx.conf", []string{upstream.Listener.Addr().String()}, proxytest.Nginx,
		append([]string{
			"proxy_buffering off;", "proxy_buffering on; proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_ignore_headers X-Accel-Buffering;",
			"proxy_http_version 1.1;", "proxy_http_version 1.0;", // nginx passes chunks on as they come
		}, proxytest.NginxChanges...)...)
	p := startBrowser(t).open(&service{T: t, addr: strings.TrimPrefix(url, "http://")})
	for i := range 3 {
		s.publish("news", fmt.Sprint(i))
	}
	p.wantNumbers(3)
	p.until(text("channel", ".wire pre") + `.includes("&wait=")`)
	for i := range 3 {
		s.publish("chat", fmt.Sprint(3+i))
		p.wantNumbers(4 + i)
	}
	p.until(state("channel", "open") + ` && ` + state("tick", "open"))
}

// impatient serves the page with a heartbeat that is assumed to be shorter while no
// header was seen: its real one would make the test last for minutes.
func impatient(t *testing.T, next http.Handler) http.Handler {
	const file, assumed = "shared.js", "const assumedHeartbeat = 15_000;"
	source, err := web.Files.ReadFile(file)
	if err != nil || !bytes.Contains(source, []byte(assumed)) {
		t.Fatalf("%s has no %q: %v", file, assumed, err)
	}
	changed := bytes.Replace(source, []byte("15_000"), []byte("300"), 1)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/assets/"+file {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = w.Write(changed)
	})
}
