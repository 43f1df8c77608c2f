package main

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// TestSlowReader: a client that reads much at once, and then nothing for four
// times the write timeout, is not cut off: it has that much to read. So read curl
// --limit-rate, and what is behind a large buffer.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	const timeout = 250 * time.Millisecond
	p := start(t, nil, "--write-timeout", timeout.String())
	for range 100 {
		if err := p.publish(`"` + strings.Repeat("x", 60_000) + `"`); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.(*net.TCPConn).SetReadBuffer(64 << 10) // of which the kernel would make megabytes
	_, _ = io.WriteString(conn, "GET /stream/channel?name=a&replay=1000 HTTP/1.1\r\nHost: x\r\n\r\n")
	in := bufio.NewReader(conn)
	for n := range 2 {
		if _, err := io.CopyN(io.Discard, in, 512<<10); err != nil {
			t.Fatalf("after %d bursts: %v", n, err)
		}
		<-time.After(4 * timeout)
	}
	if text := p.stderr.text(); strings.Contains(text, `"reason":"stalled"`) {
		t.Errorf("cut off: %s", text)
	}
}
