package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what should come at once.
const patience = 20 * time.Second

// asProgram makes the test binary be the program.
const asProgram = "SSE_DEMO_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// program is the service as a process.
type program struct {
	*testing.T
	cmd    *exec.Cmd
	addr   string
	stderr *lines
	exited chan struct{}
}

// programCommand prepares the program; env are "NAME=value".
func programCommand(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "TMPDIR="+t.TempDir())
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// start runs the program; without an environment, on a free port.
func start(t *testing.T, env []string, args ...string) *program {
	t.Helper()
	if len(env) == 0 {
		args = append(args, "--addr", "127.0.0.1:0")
	}
	return launch(t, programCommand(t, env, args...))
}

// startCommand runs the program by a changed command.
func startCommand(t *testing.T, change func(*exec.Cmd)) *program {
	t.Helper()
	cmd := programCommand(t, nil, "--addr", "127.0.0.1:0")
	change(cmd)
	return launch(t, cmd)
}

func launch(t *testing.T, cmd *exec.Cmd) *program {
	t.Helper()
	p := &program{T: t, cmd: cmd, stderr: &lines{}, exited: make(chan struct{})}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := make(chan string, 1)
	go func() {
		defer close(p.exited)
		r := bufio.NewReader(stderr)
		line, _ := r.ReadString('\n')
		p.stderr.add(line)
		first <- line
		for {
			line, err := r.ReadString('\n')
			p.stderr.add(line)
			if err != nil {
				break
			}
		}
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
	})
	select {
	case line := <-first:
		var listening struct{ Addr, Message string }
		if err := json.Unmarshal([]byte(line), &listening); err != nil || listening.Message != "listening" {
			t.Fatalf("the first line is %q", line)
		}
		p.addr = listening.Addr
	case <-time.After(patience):
		t.Fatal("the program does not start")
	}
	return p
}

// lines collects what a process writes.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) add(line string) { l.mu.Lock(); l.all = append(l.all, line); l.mu.Unlock() }

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "")
}

// ends waits for the program and checks its exit status.
func (p *program) ends(status int) {
	p.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.Fatal("the program does not end\n", p.stderr.text())
	}
	if got := p.cmd.ProcessState.ExitCode(); got != status {
		p.Errorf("exit status %d, want %d\n%s", got, status, p.stderr.text())
	}
	if text := p.stderr.text(); strings.Contains(text, "goroutine ") || strings.Contains(text, "DATA RACE") {
		p.Error(text)
	}
}

func (p *program) signal(s os.Signal) {
	p.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.Fatal(err)
	}
}

func (p *program) url(path string) string { return "http://" + p.addr + path }

func (p *program) get(path string) string {
	p.Helper()
	request, err := http.NewRequestWithContext(p.Context(), http.MethodGet, p.url(path), nil)
	if err != nil {
		p.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		p.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.Fatal(err)
	}
	return string(body)
}

func listenAnywhere(t *testing.T) net.Listener {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// publish publishes to channel a.
func (p *program) publish(payload string) error {
	status, err := p.post("/publish", `{"channel":"a","payload":`+payload+`}`)
	if err == nil && status != http.StatusOK {
		err = errors.New(http.StatusText(status))
	}
	return err
}

// post sends JSON and returns the status.
func (p *program) post(path, body string) (int, error) {
	request, err := http.NewRequestWithContext(p.Context(), http.MethodPost, p.url(path), strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// eventually waits until ok is true.
func (p *program) eventually(what string, ok func() bool) {
	p.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			p.Fatal("waited in vain: ", what)
		}
	}
}

func (p *program) connections() (n int) {
	p.Helper()
	var health struct{ Connections map[string]int }
	if err := json.Unmarshal([]byte(p.get("/health")), &health); err != nil {
		p.Fatal(err)
	}
	return health.Connections["total"]
}

// need skips the test where a program is missing, or fails it in CI.
func need(t *testing.T, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: apt-get install %s", name, debian)
	}
	t.Skipf("%s is missing: apt-get install %s", name, debian)
	return ""
}

// curl runs the real curl until its output holds want, and returns the output.
func (p *program) curl(want string, args ...string) string {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, need(p.T, "curl", "curl"), append([]string{"-sSN", "-i"}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		p.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.Fatal(err)
	}
	var got bytes.Buffer
	buf := make([]byte, 4096)
	for !strings.Contains(got.String(), want) {
		n, err := out.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			p.Errorf("curl %q: no %q in\n%s", args, want, got.String())
			break
		}
	}
	cancel()
	_ = cmd.Wait() // it was killed, or has ended by itself
	return got.String()
}

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
	p := start(t, nil)
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
			rest, err := io.ReadAll(conn)
			if err != nil || !bytes.HasSuffix(rest, []byte("\r\n0\r\n\r\n")) {
				t.Errorf("stream %d ends with %q, %v", i, rest[max(len(rest)-40, 0):], err)
			}
		})
	}
	reading.Wait()
	p.ends(0)
}

// hang begins a request that never ends.
func (p *program) hang() {
	p.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(p.Context(), "tcp", p.addr)
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { _ = conn.Close() })
	_, _ = io.WriteString(conn, "POST /publish HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
	if _, err := conn.Read(make([]byte, 100)); err != nil { // 100 Continue: the body is being read
		p.Fatal(err)
	}
}

// TestShutdownTimeout cuts off a request that never ends.
func TestShutdownTimeout(t *testing.T) {
	p := start(t, nil, "--shutdown-timeout", "50ms")
	p.hang()
	p.signal(syscall.SIGTERM)
	p.ends(0)
	if text := p.stderr.text(); !strings.Contains(text, "were cut off") {
		t.Error(text)
	}
}

// TestSecondSignal does not wait for a request that never ends.
func TestSecondSignal(t *testing.T) {
	p := start(t, nil, "--shutdown-timeout", "1h")
	p.hang()
	p.signal(syscall.SIGINT)
	p.eventually("it has noticed", func() bool { return strings.Contains(p.stderr.text(), "shutting down") })
	p.signal(syscall.SIGTERM)
	p.ends(1)
	if text := p.stderr.text(); !strings.Contains(text, "ended before all requests were") {
		t.Error(text)
	}
}

// TestDisconnectsOverTCP: after 1,000 clients that reset their connection, the
// counter and the goroutines are where they were.
func TestDisconnectsOverTCP(t *testing.T) {
	p := start(t, nil)
	goroutines := func() (n int) {
		http.DefaultClient.CloseIdleConnections()
		_, after, _ := strings.Cut(p.get("/metrics"), "\ngo_goroutines ")
		_, _ = fmt.Sscan(after, &n)
		return n
	}
	p.curl("202", p.url("/jobs"), "--json", `{"id":"a","durationMs":600000}`) // its goroutine belongs to the baseline
	before := goroutines()
	paths := []string{"/stream/tick", "/stream/channel?name=a", "/stream/log", "/stream/progress?id=a"}
	for i := range 1000 {
		conn := p.open(paths[i%len(paths)])
		if err := conn.(*net.TCPConn).SetLinger(0); err != nil { // Close sends a reset
			t.Fatal(err)
		}
		_ = conn.Close()
	}
	p.eventually("no connection is counted", func() bool { return p.connections() == 0 })
	p.eventually("no goroutine is left", func() bool { return goroutines() <= before })
}
