package deploy_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/sse-demo/deploy/browsertest"
	"example.com/sse-demo/sse/ssetest"
)

var removeLater []string // folders, after all tests

// laterRemoved makes a folder that outlives the test, for what all tests use.
func laterRemoved(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sse-demo-deploy-") //nolint:usetesting // it outlives the test
	if err != nil {
		t.Fatal(err)
	}
	removeLater = append(removeLater, dir)
	return dir
}

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "8") // -parallel wins; the tests mostly wait for processes
	code := m.Run()
	browsertest.End()
	for _, dir := range removeLater {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// A process is the service on a fixed address, following a log.
type process struct {
	binary, addr, log string
	args              []string
	cmd               *exec.Cmd
}

var (
	serviceOnce   sync.Once
	serviceBinary string // the service, built once for all tests
)

// startProcess starts the service until the test ends. Pages of the origin, if there
// is one, may use it.
func startProcess(t *testing.T, origin string) *process {
	t.Helper()
	serviceOnce.Do(func() {
		binary := filepath.Join(laterRemoved(t), "sse-demo")
		buildGo(t, binary, "..", "./cmd/sse-demo")
		serviceBinary = binary
	})
	if serviceBinary == "" {
		t.Fatal("the service was not built: see the test that ran first")
	}
	p := &process{binary: serviceBinary, addr: ssetest.FreeAddr(t), log: filepath.Join(t.TempDir(), "app.log")}
	if err := os.WriteFile(p.log, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p.args = []string{"--addr", p.addr, "--log-file", "app=" + p.log, "--retry", "50ms", "--log-level", "error"}
	if origin != "" {
		p.args = append(p.args, "--cors-origin", origin)
	}
	p.start(t)
	t.Cleanup(func() { p.stop(t) })
	return p
}

func (p *process) start(t *testing.T) {
	t.Helper()
	p.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), p.binary, p.args...)
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ssetest.AwaitServer(t, p.addr)
}

func (p *process) stop(t *testing.T) {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		t.Error("the service has ended with ", err)
	}
}

// writeLines appends lines to the log, and restarts the service in the middle.
func (p *process) writeLines(t *testing.T, n int) {
	t.Helper()
	file, err := os.OpenFile(p.log, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for i := 1; i <= n; i++ {
		if _, err := fmt.Fprintf(file, "line %d\n", i); err != nil {
			t.Fatal(err)
		}
		if i == n/2 {
			p.stop(t)
			p.start(t)
		}
		<-tick.C
	}
}

// A cutter is a proxy that cuts connections in the middle of an event.
type cutter struct {
	net.Listener
	upstream string
	changed  chan struct{} // receives when there is a connection
	running  sync.WaitGroup

	mu    sync.Mutex
	cuts  int
	conns map[net.Conn]bool
	seen  bool
}

func startCutter(t *testing.T, upstream string) *cutter {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{Listener: listener, upstream: upstream, changed: make(chan struct{}, 1), conns: map[net.Conn]bool{}}
	c.running.Go(func() {
		for {
			conn, err := c.Accept()
			if err != nil {
				return
			}
			c.running.Go(func() { c.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = c.Close()
		c.mu.Lock()
		for conn := range c.conns {
			_ = conn.Close()
		}
		c.mu.Unlock()
		c.running.Wait()
	})
	return c
}

func (c *cutter) addr() string { return c.Addr().String() }

func (c *cutter) connected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen
}

func (c *cutter) done() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cuts
}

func (c *cutter) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := new(net.Dialer).Dial("tcp", c.upstream) //nolint:noctx // it is refused at once, or accepted
	if err != nil {
		return // the service is away
	}
	defer func() { _ = server.Close() }()
	c.mu.Lock()
	c.conns[client], c.conns[server] = true, true
	c.mu.Unlock()
	c.running.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	})
	c.copy(client, server)
}

// copy passes on what the server sends, until it is time for a cut: some bytes
// into the data of an event.
func (c *cutter) copy(client io.Writer, server io.Reader) {
	marker := []byte("\ndata: li")
	events := 5 + rand.IntN(20) // before the cut
	buf := make([]byte, 1)
	var tail []byte
	for {
		if _, err := server.Read(buf); err != nil {
			return
		}
		if _, err := client.Write(buf); err != nil {
			return
		}
		tail = append(tail, buf[0])
		tail = tail[max(len(tail)-len(marker), 0):]
		c.mu.Lock()
		if !c.seen {
			c.seen = true
			c.changed <- struct{}{}
		}
		if bytes.Equal(tail, marker) {
			events--
		}
		cut := events == 0 && c.cuts < interopCuts
		if cut {
			c.cuts++
		}
		c.mu.Unlock()
		if cut {
			return
		}
	}
}
