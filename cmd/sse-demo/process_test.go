package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/sse-demo/sse/ssetest"
)

func TestCurl(t *testing.T) {
	logFile := filepath.Join(t.TempDir(), "app.log")
	if err := os.WriteFile(logFile, []byte("first\nsecond\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, nil, "--log-file", "app="+logFile)
	for path, want := range map[string]string{
		"/stream/tick?symbol=btc&interval=100": `data: {"symbol":"BTC","price":`,
		"/stream/log?file=app&lines=1":         "data: second\n\n",
		"/stream/progress?id=build-42":         `data: {"id":"build-42","percent":1,`,
	} {
		out := p.curl(want, p.url(path))
		if !strings.HasPrefix(out, "HTTP/1.1 200 OK\r\n") || !strings.Contains(out, "Content-Type: text/event-stream\r\n") ||
			!strings.Contains(out, "\r\n\r\nretry: ") {
			t.Errorf("%s:\n%s", path, out)
		}
	}
	publish := []string{p.url("/publish"), "--json", `{"channel":"news","payload":{"msg":"hello"}}`}
	p.curl(`"channel":"news"`, publish...)
	p.curl(`data: {"msg":"hello"}`, p.url("/stream/channel?name=news&replay=1"))
	if out := p.curl("event: tick", "--http2-prior-knowledge", p.url("/stream/tick")); !strings.HasPrefix(out, "HTTP/2 200") {
		t.Error(out)
	}
	p.eventually("curl's streams are over", func() bool { return p.connections() == 0 })
	p.signal(syscall.SIGTERM)
	p.ends(0)
}

// TestHangup: a terminal that closes ends the service like SIGTERM, but not one that
// nohup has started.
func TestHangup(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no SIGHUP")
	}
	p := start(t, nil)
	conn := p.open("/stream/tick")
	defer func() { _ = conn.Close() }()
	p.signal(syscall.SIGHUP)
	if rest, err := io.ReadAll(conn); err != nil || !bytes.HasSuffix(rest, []byte("\r\n0\r\n\r\n")) {
		t.Errorf("the stream ends with %q, %v", rest, err)
	}
	p.ends(0)

	p = startCommand(t, func(cmd *exec.Cmd) {
		cmd.Args = append([]string{"sh", "-c", `trap "" HUP; exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
		cmd.Path = ssetest.Need(t, "sh", "dash")
	})
	p.signal(syscall.SIGHUP)
	p.signal(syscall.SIGTERM)
	p.ends(0)
	if log := p.stderr.text(); !strings.Contains(log, `"cause":"terminated signal received"`) {
		t.Error(log)
	}
}

// TestOwnLog follows the service's own log, over a restart on the same port.
func TestOwnLog(t *testing.T) {
	dir := "TMPDIR=" + t.TempDir()
	free := listenAnywhere(t)
	addr := free.Addr().String()
	_ = free.Close()
	p := start(t, []string{dir, "SSE_ADDR=" + addr})
	out := p.curl("stream opened", p.url("/stream/log"))
	_, after, _ := strings.Cut(out, "id: ")
	id, _, _ := strings.Cut(after, "\n")
	if !strings.Contains(out, `"message":"listening"`) {
		t.Error(out)
	}
	p.signal(os.Kill)
	p.ends(-1)
	p = start(t, []string{dir, "SSE_ADDR=" + addr})
	if out := p.curl(`"message":"listening"`, p.url("/stream/log"), "-H", "Last-Event-ID: "+id); strings.Contains(out, "event: gap") {
		t.Errorf("after a restart:\n%s", out)
	}
}

// open opens a stream by hand and returns its connection after the first bytes.
func (p *program) open(path string) net.Conn {
	p.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(p.Context(), "tcp", p.addr)
	if err != nil {
		p.Fatal(err)
	}
	_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 16)); err != nil {
		p.Fatal(err)
	}
	return conn
}

// TestTermWithOpenStreams ends 1,000 streams; each must get its final chunk.
func TestTermWithOpenStreams(t *testing.T) {
	p := start(t, nil, "--shutdown-timeout", "1h") // it takes no time
	if status, err := p.post("/jobs", `{"id":"a","durationMs":600000}`); status != http.StatusAccepted {
		t.Fatal(status, err) // its streams would end while others are opened
	}
	paths := []string{"/stream/tick", "/stream/channel?name=a", "/stream/log", "/stream/progress?id=a"}
	conns := make([]net.Conn, 1000)
	for i := range conns {
		conns[i] = p.open(paths[i%len(paths)])
	}
	if n := p.connections(); n != len(conns) {
		t.Errorf("%d connections", n)
	}
	p.signal(syscall.SIGTERM)
	var reading sync.WaitGroup
	for i, conn := range conns {
		reading.Go(func() {
			defer func() { _ = conn.Close() }()
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			rest, err := io.ReadAll(conn)
			if err != nil || !bytes.HasSuffix(rest, []byte("\r\n0\r\n\r\n")) {
				t.Errorf("stream %d ends with %q, %v", i, rest[max(len(rest)-40, 0):], err)
			}
		})
	}
	reading.Wait()
	p.ends(0)
}

// hang opens a stream whose client reads nothing of more than the sockets hold.
func (p *program) hang() {
	p.Helper()
	const events, size = 400, 60_000
	for range events {
		if err := p.publish(`"` + strings.Repeat("x", size) + `"`); err != nil {
			p.Fatal(err)
		}
	}
	conn := p.open("/stream/channel?name=a&replay=1000")
	p.Cleanup(func() { _ = conn.Close() })
}

// TestShutdownTimeout cuts off a request that never ends.
func TestShutdownTimeout(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "--shutdown-timeout", "50ms", "--write-timeout", "1h")
	p.hang()
	p.signal(syscall.SIGTERM)
	p.ends(0)
	if text := p.stderr.text(); !strings.Contains(text, "were cut off") {
		t.Error(text)
	}
}

// TestRequestsWhileDraining: as long as a stream has yet to end, the answer to
// other requests is that the service is shutting down.
func TestRequestsWhileDraining(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "--shutdown-timeout", "1h", "--write-timeout", "1h")
	p.hang()
	p.signal(syscall.SIGTERM)
	p.eventually("it is draining", func() bool {
		response, err := http.Get(p.url("/health")) //nolint:noctx // it ends with the service
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		return response.StatusCode == http.StatusServiceUnavailable
	})
	p.curl("event: busy", p.url("/stream/tick"), "-H", "Accept: text/event-stream")
	p.signal(syscall.SIGTERM)
	p.ends(1)
}

// TestSecondSignal does not wait for a request that never ends.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "--shutdown-timeout", "1h", "--write-timeout", "1h")
	p.hang()
	p.signal(syscall.SIGINT)
	p.eventually("it has noticed", func() bool { return strings.Contains(p.stderr.text(), "shutting down") })
	p.signal(syscall.SIGTERM)
	p.ends(1)
	if text := p.stderr.text(); !strings.Contains(text, "ended before all requests were") {
		t.Error(text)
	}
}

// TestSignalsAtOnce: none of two that come together is lost, and a terminal that closes
// may send SIGHUP twice, which cuts nothing off.
func TestSignalsAtOnce(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there is no SIGHUP")
	}
	p := start(t, nil, "--shutdown-timeout", "1h", "--write-timeout", "1h")
	p.hang()
	p.signal(syscall.SIGHUP)
	p.signal(syscall.SIGHUP)
	p.eventually("it has noticed", func() bool { return strings.Contains(p.stderr.text(), "shutting down") })
	p.signal(syscall.SIGHUP)
	if body := p.get("/health"); !strings.Contains(body, "draining") {
		t.Error(body)
	}
	p.signal(syscall.SIGTERM)
	p.ends(1)

	p = start(t, nil, "--shutdown-timeout", "1h", "--write-timeout", "1h")
	p.hang()
	p.signal(syscall.SIGINT)
	p.signal(syscall.SIGTERM)
	p.ends(1)
}

// TestDisconnectsOverTCP: after 1,000 clients that reset their connection, the
// counter and the goroutines are where they were.
func TestDisconnectsOverTCP(t *testing.T) {
	p := start(t, nil)
	p.curl("202", p.url("/jobs"), "--json", `{"id":"a","durationMs":600000}`) // its goroutine belongs to the baseline
	_ = p.open("/stream/tick").Close()                                        // so do those of the event loop, which begin with the first stream
	p.eventually("no connection is counted", func() bool { return p.connections() == 0 })
	before := p.goroutines()
	paths := []string{"/stream/tick", "/stream/channel?name=a", "/stream/log", "/stream/progress?id=a"}
	for i := range 1000 {
		conn := p.open(paths[i%len(paths)])
		if err := conn.(*net.TCPConn).SetLinger(0); err != nil { // Close sends a reset
			t.Fatal(err)
		}
		_ = conn.Close()
	}
	p.eventually("no connection is counted", func() bool { return p.connections() == 0 })
	p.eventually("no goroutine is left", func() bool { return p.goroutines() <= before })
}
