package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"example.com/sse-demo/sse/ssetest"
)

// A kept service has a data file, and the same address after each restart.
type kept struct {
	*program
	file string
	args []string
}

func startKept(t *testing.T, file string, args ...string) *kept {
	t.Helper()
	k := &kept{file: file, args: append(args, "--addr", ssetest.FreeAddr(t), "--data-file", file)}
	k.program = launch(t, programCommand(t, nil, k.args...))
	return k
}

// kill ends the service as a power cut does, and starts it again.
func (k *kept) kill() {
	k.Helper()
	k.signal(os.Kill)
	k.ends(-1)
	k.program = launch(k.T, programCommand(k.T, nil, k.args...))
}

// TestKilled kills the service twenty times, at random moments, while six publishers
// publish and four clients follow. Every acknowledged event arrives once, in the order of
// the ids, and without a gap.
func TestKilled(t *testing.T) {
	t.Parallel()
	k := startKept(t, filepath.Join(t.TempDir(), "data"), "--history", "100000", "--retry", "20ms")
	c := &cluster{T: t, replicas: []*program{k.program, k.program, k.program}, url: k.url("")}
	c.first, _ = publishTo(t, c.url, "first")
	var reconnects, published atomic.Int64
	seen := make([][]string, 4)
	var following, publishing sync.WaitGroup
	for i := range seen {
		following.Go(func() { seen[i] = c.follow(&reconnects) })
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var acknowledged []string
	publishing.Go(func() { acknowledged = c.publishAll(ctx, &published) })
	for range 20 {
		n := published.Load()
		k.eventually("events are acknowledged", func() bool { return published.Load() >= n+1+rand.Int64N(80) })
		k.kill()
	}
	cancel()
	publishing.Wait()
	if _, err := publishTo(t, c.url, "end"); err != nil {
		t.Fatal(err)
	}
	following.Wait()
	c.compare(seen, acknowledged)
}

// TestKilledJobs: a job that ran when the service was killed has failed after the
// restart, with all that it had written before, and says so. One that had ended is
// as it was.
func TestKilledJobs(t *testing.T) {
	t.Parallel()
	k := startKept(t, filepath.Join(t.TempDir(), "data"))
	for _, body := range []string{`{"id":"short","durationMs":500}`, `{"id":"long","durationMs":600000}`, `{"id":"text","kind":"answer","prompt":"?"}`} {
		if status, err := k.post("/jobs", body); status != http.StatusAccepted {
			t.Fatal(status, err)
		}
	}
	short := k.events("/stream/progress?id=short")
	first := map[string]ssetest.Event{}
	for id, n := range map[string]int{"long": 1, "text": 3} {
		events := k.first("/stream/progress?id="+id, n)
		first[id] = events[n-1]
	}
	k.kill()
	if again := k.events("/stream/progress?id=short"); fmt.Sprint(again) != fmt.Sprint(short[max(len(short)-len(again), 0):]) || again[len(again)-1].Name != "done" {
		t.Errorf("a finished job has %v, and had %v", again, short)
	}
	for id := range first {
		events := k.events("/stream/progress?id=" + id + "&lastEventId=" + first[id].ID)
		var done struct{ Status, Error string }
		last := events[len(events)-1]
		if err := json.Unmarshal([]byte(last.Data), &done); err != nil || last.Name != "done" || done.Status != "failed" || !strings.Contains(done.Error, "start it again") {
			t.Errorf("%s ends with %+v, %v", id, last, err)
		}
		for _, e := range events {
			if e.Name == "gap" {
				t.Errorf("%s has %+v", id, e)
			}
		}
	}
	if events := k.events("/stream/progress?id=text"); !strings.Contains(events[0].Data, `"index":0`) {
		t.Errorf("an answer begins with %+v", events[0])
	}
}

// events reads a stream to its end.
func (p *program) events(path string) []ssetest.Event { p.Helper(); return p.first(path, 1<<20) }

// first reads up to n events of a stream.
func (p *program) first(path string, n int) (events []ssetest.Event) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url(path), nil)
	if err != nil {
		p.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		p.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	reader := ssetest.NewReader(response.Body)
	for len(events) < n {
		e, err := reader.Next()
		if err != nil {
			break
		}
		events = append(events, e)
	}
	if len(events) == 0 || ctx.Err() != nil {
		p.Fatalf("%s: %d events, %v", path, len(events), ctx.Err())
	}
	return events
}

// TestDataFileRefused: one clear line that names the file, exit status 1, and the file
// stays as it is.
func TestDataFileRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	held := startKept(t, filepath.Join(dir, "held"))
	for what, path := range map[string]string{
		"another process has it open":         held.file,
		"no data file of this":                write("other", strings.Repeat("some text\n", 10_000)),
		"it is empty":                         write("empty", ""),
		"no such file or directory":           filepath.Join(dir, "missing", "data"),
		"it is no regular file":               dir,
		"--data-file and --redis-url exclude": filepath.Join(dir, "both"),
	} {
		args := []string{"--addr", "127.0.0.1:0", "--data-file", path}
		status := 1
		if strings.HasSuffix(path, "both") {
			args, status = append(args, "--redis-url", "redis://localhost"), 2
		}
		before, _ := os.ReadFile(path)
		out, err := programCommand(t, nil, args...).CombinedOutput()
		exit, _ := err.(*exec.ExitError) //nolint:errorlint // it is that, or the test fails
		if exit == nil || exit.ExitCode() != status || strings.Count(string(out), "\n") != 1 || !strings.Contains(string(out), what) {
			t.Errorf("%s: %v\n%s", what, err, out)
		}
		if after, _ := os.ReadFile(path); path != held.file && string(after) != string(before) {
			t.Errorf("%s was changed", path)
		}
	}
}

// TestDiskFull: while the disk is full, publishing answers 503, and that nothing was
// published; /health says degraded; streams go on. All is well when there is room.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t)
	k := startKept(t, filepath.Join(dir, "data"))
	conn := k.open("/stream/tick?interval=100")
	defer func() { _ = conn.Close() }()
	if err := k.publish(`1`); err != nil {
		t.Fatal(err)
	}
	fill := filepath.Join(dir, "fill")
	if err := os.WriteFile(fill, make([]byte, 64<<20), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	health := func() string { return k.get("/health") }
	k.eventually("it is noticed", func() bool { return strings.Contains(health(), `"degraded"`) })
	if status, err := k.post("/publish", `{"channel":"a","payload":2}`); status != http.StatusServiceUnavailable {
		t.Error(status, err)
	}
	if _, err := conn.Read(make([]byte, 16)); err != nil {
		t.Error("a stream has ended: ", err)
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	k.eventually("there is room again", func() bool { return strings.Contains(health(), `"ok"`) })
	if err := k.publish(`3`); err != nil {
		t.Error(err)
	}
	k.kill()
	if events := k.first("/stream/channel?name=a&replay=10", 2); events[0].Data != "1" || events[1].Data != "3" {
		t.Errorf("%+v", events)
	}
}

// smallDisk mounts a disk of 8 MiB in memory, which needs root.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", dir).Run(); err != nil {
		t.Skip("a disk that can be filled needs root, and mount: ", err)
	}
	t.Cleanup(func() {
		_ = exec.CommandContext(context.WithoutCancel(t.Context()), "umount", "--lazy", dir).Run()
	})
	return dir
}
