package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/sse-demo/sse/ssetest"
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
	_ = flag.Set("test.parallel", "8") // -parallel wins; the tests mostly wait for processes
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
		p.addr = addrIn(t, line)
	case <-time.After(patience):
		t.Fatal("the program does not start")
	}
	return p
}

// addrIn is the address in the first line of the log.
func addrIn(t *testing.T, line string) string {
	t.Helper()
	var listening struct{ Addr string }
	if err := json.Unmarshal([]byte(line), &listening); err != nil || listening.Addr == "" {
		t.Fatalf("the first line is %q", line)
	}
	return listening.Addr
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
	return p.getBy(http.DefaultClient, p.url(path))
}

func (p *program) getBy(client *http.Client, url string) string {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), 3*patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		p.Fatal(err)
	}
	response, err := client.Do(request)
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
	return p.postBy(http.DefaultClient, path, body)
}

func (p *program) postBy(client *http.Client, path, body string) (int, error) {
	request, err := http.NewRequestWithContext(p.Context(), http.MethodPost, p.url(path), strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
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

// gauge reads a metric.
func (p *program) gauge(name string) float64 {
	p.Helper()
	return valueIn(p.T, p.get("/metrics"), name)
}

// valueIn is the value of a metric.
func valueIn(t *testing.T, metrics, name string) (value float64) {
	t.Helper()
	_, after, _ := strings.Cut(metrics, "\n"+name+" ")
	if _, err := fmt.Sscan(after, &value); err != nil {
		t.Fatal(name, err)
	}
	return value
}

// goroutines is how many the program has, without the ones for this client's idle
// connections.
func (p *program) goroutines() float64 {
	p.Helper()
	http.DefaultClient.CloseIdleConnections()
	return p.gauge("go_goroutines")
}

// curl runs the real curl until its output holds want, and returns the output.
func (p *program) curl(want string, args ...string) string {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, ssetest.Need(p.T, "curl", "curl"), append([]string{"-sSN", "-i"}, args...)...)
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
