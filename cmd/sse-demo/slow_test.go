package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestSlowReader: a client that reads slowly but steadily is not cut off, however
// large the kernel's buffers are. HTTP/1.0 is served by sse.Serve, HTTP/1.1 by the
// event loop.
func TestSlowReader(t *testing.T) {
	p := start(t, nil, "--write-timeout", "1500ms")
	for range 100 {
		if err := p.publish(`"` + strings.Repeat("x", 60_000) + `"`); err != nil {
			t.Fatal(err)
		}
	}
	var reading sync.WaitGroup
	for _, protocol := range []string{"HTTP/1.0", "HTTP/1.1"} {
		reading.Go(func() {
			conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			_, _ = fmt.Fprintf(conn, "GET /stream/channel?name=a&replay=1000 %s\r\nHost: x\r\n\r\n", protocol)
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			in := bufio.NewReader(conn)
			for n := range 200 { // 800 kB in 4 s
				<-tick.C
				if _, err := io.CopyN(io.Discard, in, 4<<10); err != nil {
					t.Errorf("%s: after %d bytes: %v", protocol, n*4<<10, err)
					return
				}
			}
			if text := p.stderr.text(); strings.Contains(text, `"proto":"`+protocol+`","duration"`) {
				t.Errorf("%s: cut off: %s", protocol, text)
			}
		})
	}
	reading.Wait()
}
