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

// TestSlowReader: a client that reads much at once, and then nothing for four
// times the write timeout, is not cut off: it has that much to read. So read curl -0
// --limit-rate, and what is behind a large buffer. HTTP/1.0 is served by sse.Serve,
// HTTP/1.1 by the event loop.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	const timeout = 500 * time.Millisecond
	p := start(t, nil, "--write-timeout", timeout.String())
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
			_ = conn.(*net.TCPConn).SetReadBuffer(64 << 10) // of which the kernel would make megabytes
			_, _ = fmt.Fprintf(conn, "GET /stream/channel?name=a&replay=1000 %s\r\nHost: x\r\n\r\n", protocol)
			in := bufio.NewReader(conn)
			for n := range 2 {
				if _, err := io.CopyN(io.Discard, in, 512<<10); err != nil {
					t.Errorf("%s: after %d bursts: %v", protocol, n, err)
					return
				}
				<-time.After(4 * timeout)
			}
			if text := p.stderr.text(); strings.Contains(text, `"reason":"stalled"`) {
				t.Errorf("%s: cut off: %s", protocol, text)
			}
		})
	}
	reading.Wait()
}
