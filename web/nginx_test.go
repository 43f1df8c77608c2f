package web_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/sse-demo/deploy/proxytest"
)

// TestBufferingProxy: nginx that buffers whatever the headers say. No stream gets
// through, and the page goes on by long polling.
func TestBufferingProxy(t *testing.T) {
	t.Parallel()
	s := startService(t)
	// The heartbeat that is assumed while no header was seen would make the test last for minutes.
	s.files = map[string][]string{"shared-stream.js": {"const assumedHeartbeat = 15_000;", "const assumedHeartbeat = 300;"}}
	upstream := httptest.NewServer(s.running.Handler)
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
