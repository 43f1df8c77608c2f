package deploy_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/sse-demo/sse/ssetest"
)

const (
	interopLines = 400 // that each client must get
	interopCuts  = 10  // of each client, in the middle of an event
	interopWait  = time.Minute
)

// A foreignClient is one of another project, or eventstream.js, which follows a
// stream and prints what it receives.
type foreignClient struct {
	name    string
	command []string // the URL of the stream follows
	repeats bool     // it is known to dispatch events that are unfinished
	loses   bool     // it is known to take the id of an event that is unfinished
}

func node(script string) []string { return []string{"node", "interop/clients/" + script} }

// TestInterop: clients follow a log while each of their connections is cut in the
// middle of an event, ten times, and the service is restarted by SIGTERM. Every line
// arrives once and in order, except with those clients that are known to break the
// rules; docs/browser.md has the table.
func TestInterop(t *testing.T) {
	ssetest.Need(t, "node", "nodejs")
	needModules(t)
	goClient := filepath.Join(t.TempDir(), "goclient")
	buildGo(t, goClient, "interop", "./goclient")
	s := startProcess(t, "")
	var followers []*follower
	for _, client := range []foreignClient{
		{name: "eventstream.js", command: node("eventstream.mjs")},
		{name: "eventsource", command: node("eventsource.mjs")},
		{name: "eventsource-client", command: node("eventsource-client.mjs")},
		{name: "undici", command: node("undici.mjs")},
		{name: "fetch-event-source", command: node("fetch-event-source.mjs"), loses: true},
		{name: "launchdarkly", command: []string{goClient, "launchdarkly"}},
		{name: "go-sse", command: []string{goClient, "go-sse"}},
		{name: "r3labs", command: []string{goClient, "r3labs"}, repeats: true, loses: true},
	} {
		followers = append(followers, follow(t, client, startCutter(t, s.addr)))
	}
	for _, f := range followers {
		f.await(t, 0) // connected: 0 lines
	}
	s.writeLines(t, interopLines)
	for _, f := range followers {
		f.await(t, interopLines)
		f.check(t)
	}
}

// needModules skips the test without the clients of npm.
func needModules(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("interop/node_modules"); err == nil {
		return
	}
	ssetest.Missing(t, "interop/node_modules", "npm ci --prefix deploy/interop")
}

// buildGo builds a Go program of the module in dir.
func buildGo(t *testing.T, output, dir, pkg string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", output, pkg)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, out)
	}
}

// A follower is a running client and the lines that it has received.
type follower struct {
	foreignClient
	cutter *cutter
	output strings.Builder // of an error

	mu    sync.Mutex
	lines []int
	more  chan struct{} // receives when there are more lines
}

func follow(t *testing.T, client foreignClient, c *cutter) *follower {
	t.Helper()
	f := &follower{foreignClient: client, cutter: c, more: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	command := append(client.command, "http://"+c.addr()+"/stream/log?lines=1000") //nolint:gocritic // each has its own
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stderr = &f.output
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		for in := bufio.NewScanner(out); in.Scan(); {
			f.received(t, in.Bytes())
		}
	})
	t.Cleanup(func() {
		cancel()
		reading.Wait()
		_ = cmd.Wait() // it was killed
	})
	return f
}

func (f *follower) received(t *testing.T, line []byte) {
	var event struct{ Data string }
	err := json.Unmarshal(line, &event)
	n, wrong := strconv.Atoi(strings.TrimPrefix(event.Data, "line "))
	if errors.Join(err, wrong) != nil {
		if !f.repeats { // half an event is half a number, too
			t.Errorf("%s: %q", f.name, line)
		}
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lines = append(f.lines, n)
	select {
	case f.more <- struct{}{}:
	default:
	}
}

// await waits until the client is connected and has received line n, if n is not 0.
func (f *follower) await(t *testing.T, n int) {
	t.Helper()
	timeout := time.After(interopWait)
	for {
		if n > 0 && f.last() == n || n == 0 && f.cutter.connected() {
			return
		}
		select {
		case <-f.more:
		case <-f.cutter.changed:
		case <-timeout:
			t.Fatalf("%s has not got line %d; it has %v, and says %s", f.name, n, f.last(), &f.output)
		}
	}
}

func (f *follower) last() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.lines) > 0 {
		n = f.lines[len(f.lines)-1]
	}
	return n
}

func (f *follower) check(t *testing.T) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := map[int]int{}
	ordered := true
	for i, n := range f.lines {
		seen[n]++
		ordered = ordered && (i == 0 || n > f.lines[i-1])
	}
	lost, repeated := 0, 0
	for n := 1; n <= interopLines; n++ {
		if seen[n] == 0 {
			lost++
		}
		repeated += max(seen[n]-1, 0)
	}
	if cuts := f.cutter.done(); cuts != interopCuts {
		t.Errorf("%s: %d cuts, want %d", f.name, cuts, interopCuts)
	}
	verdict := fmt.Sprintf("%s: %d lost, %d repeated, in order %v", f.name, lost, repeated, ordered)
	if lost > 0 && !f.loses || repeated > 0 && !f.repeats || !ordered && !f.repeats {
		t.Error(verdict)
	}
	t.Log(verdict)
}
