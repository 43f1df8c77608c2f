package deploy_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

// TestUseChat: a chat of the npm package ai reads answers with the transport that
// docs/answers.md shows, over connections that break: live, after a reload in the middle,
// with its history, and until the user stops it.
func TestUseChat(t *testing.T) {
	ssetest.Need(t, "node", "nodejs")
	needModules(t)
	code, err := os.ReadFile("interop/clients/chat-transport.mjs")
	page, err2 := os.ReadFile("../docs/answers.md")
	if errors.Join(err, err2) != nil {
		t.Fatal(err, err2)
	}
	if _, transport, _ := strings.Cut(string(code), "\n\n"); !strings.Contains(string(page), "'./eventstream.js'\n\n"+transport+"```\n") {
		t.Error("docs/answers.md shows another transport than chat-transport.mjs")
	}
	s := startProcess(t, "")
	out, err := exec.CommandContext(t.Context(), "node", "interop/clients/usechat.mjs", "http://"+s.addr).Output()
	type screen struct {
		Status, Error string
		Messages      []struct{ Role, Text string }
	}
	var seen struct {
		Connections                               int
		Chat, Reloaded, Stopped, Refused, Unknown screen
	}
	if err := errors.Join(err, json.Unmarshal(out, &seen)); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	first := "" // which is no longer kept, but was read twice
	if len(seen.Reloaded.Messages) == 2 {
		first = seen.Reloaded.Messages[1].Text
	}
	if !strings.HasPrefix(first, "You asked: “Why?”. ") || !strings.HasSuffix(first, "every piece exactly once.") {
		t.Errorf("%q", first)
	}
	second := writtenBy(t, s.addr, "chat-1")
	expect := func(name string, got screen, status string, texts ...string) {
		t.Helper()
		var all []string
		for _, m := range got.Messages {
			all = append(all, m.Text)
		}
		if got.Status != status || !slices.Equal(all, texts) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	expect("chat", seen.Chat, "ready", "Why?", first, "And a WebSocket?", second)
	expect("reloaded", seen.Reloaded, "ready", "Why?", first)
	expect("refused", seen.Refused, "error", "", "")
	expect("unknown", seen.Unknown, "ready")
	if m := seen.Stopped.Messages; len(m) != 2 || len(m[1].Text) == 0 || len(m[1].Text) == len(first) || !strings.HasPrefix(first, m[1].Text) {
		t.Errorf("stopped: %+v", seen.Stopped)
	}
	if seen.Connections < 10 || !strings.Contains(seen.Refused.Error, "messages must be") {
		t.Errorf("%d connections; %+v", seen.Connections, seen.Refused)
	}
}

// writtenBy returns the text of an answer that has ended.
func writtenBy(t *testing.T, addr, id string) (text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/stream/progress?id="+id, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	for events := ssetest.NewReader(response.Body); ; {
		e, err := events.Next()
		if errors.Is(err, io.EOF) {
			return text
		}
		var token struct{ Text string }
		if err := errors.Join(err, json.Unmarshal([]byte(e.Data), &token)); err != nil {
			t.Fatal(err)
		}
		text += token.Text
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
