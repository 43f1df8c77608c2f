package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/ssetest"
)

// sameCache begins a script that builds a copy: what is built in one is not built again
// in the next, whose path is another.
const sameCache = "set -e\nexport GOFLAGS='-mod=mod -trimpath'\n"

// TestCopyPage follows docs/copy.md in a fresh module: it copies the folders, runs
// their tests there, adds cmd/minimal, and tries it with the curl commands.
func TestCopyPage(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it builds everything anew")
	}
	needShell(t)
	dir := t.TempDir()
	service := filepath.Join(dir, "my-service")
	writeFile(t, filepath.Join(service, "go.mod"), "module example.com/my-service\n\ngo 1.26\n")
	here, err := filepath.Abs(root)
	if err == nil {
		err = os.Symlink(here, filepath.Join(dir, "sse-demo"))
	}
	if err != nil {
		t.Fatal(err)
	}
	var copying, trying []string
	for _, command := range commandsOf(readFile(t, "docs/copy.md")) {
		if strings.HasPrefix(command, "curl ") {
			trying = append(trying, command)
		} else {
			copying = append(copying, strings.Replace(command, "go test ", "go test -short -vet=off ", 1))
		}
	}
	if out, err := runIn(t.Context(), dir, sameCache+strings.Join(copying, "\n")); err != nil || len(copying) < 5 {
		t.Fatalf("%q: %v\n%s", copying, err, out)
	}
	addr := ssetest.FreeAddr(t)
	changes := strings.NewReplacer("example.com/sse-demo", "example.com/my-service", "localhost:8080", addr)
	for _, name := range []string{"main.go", "index.html"} {
		writeFile(t, filepath.Join(service, name), changes.Replace(readFile(t, "cmd/minimal/"+name)))
	}
	if out, err := runIn(t.Context(), service, sameCache+"go vet ./...\ngo build -o service ."); err != nil {
		t.Fatal(err, out)
	}
	startMinimal(t, filepath.Join(service, "service"), addr)
	runCurl(t, `curl localhost:8080/publish -d '{"msg":"hello"}'`, addr)
	for _, command := range trying {
		runCurl(t, command, addr)
	}
}

// startMinimal starts cmd/minimal, which listens at addr.
func startMinimal(t *testing.T, path, addr string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), path)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = patience
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // the context of the test has ended before
	ssetest.AwaitServer(t, addr)
}

// TestCopyWhole copies sse and pubsub into another module, with the import path
// replaced and nothing deleted: all of it builds, and what TestCopyPage leaves out
// passes its tests.
func TestCopyWhole(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it builds everything anew")
	}
	needShell(t)
	dir := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum"} { // the same versions, so that nothing is to be downloaded
		writeFile(t, filepath.Join(dir, name), strings.Replace(readFile(t, name), "module example.com/sse-demo", "module example.org/copied", 1))
	}
	out, err := runIn(t.Context(), root, fmt.Sprintf("cp -r sse pubsub '%s'", dir))
	if err != nil {
		t.Fatal(err, out)
	}
	out, err = runIn(t.Context(), dir, sameCache+`
		grep -rl example.com/sse-demo . | xargs perl -pi -e 's|example.com/sse-demo|example.org/copied|'
		go vet ./...
		go test -short -vet=off ./sse/eventloop`)
	if err != nil {
		t.Error(err, out)
	}
}

// pollHandler is the handler of docs/copy.md with the lines for long polling.
func pollHandler(broker pubsub.Broker, options sse.Options) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		options := options
		if ms, err := strconv.Atoi(r.URL.Query().Get("wait")); err == nil { // long polling
			options.PollUntil = time.Now().Add(time.Duration(min(ms, 60_000)) * time.Millisecond)
		}
		news := broker.Subscribe([]string{"news"}, pubsub.Start{After: sse.LastEventID(r), Replay: 10})
		if err := sse.Serve(w, r, news, options); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}
}

// TestCopyPoll: a poll ends after the first events, or when its time has passed.
func TestCopyPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := pubsub.NewMemory(10, 1<<20)
		publish := func(text string) string {
			receipt, err := broker.Publish(t.Context(), "news", "", []byte(text))
			if err != nil {
				t.Error(err)
			}
			return receipt.ID.String()
		}
		handler := pollHandler(broker, sse.Options{})
		poll := func(lastEventID, wait, want string, after time.Duration) {
			t.Helper()
			w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/events?wait="+wait, nil)
			r.Header.Set("Last-Event-ID", lastEventID)
			start := time.Now()
			handler(w, r)
			if took := time.Since(start); w.Code != http.StatusOK || !strings.HasSuffix(w.Body.String(), want) || took != after {
				t.Errorf("wait=%s: %d %q after %v, want %q after %v", wait, w.Code, w.Body, took, want, after)
			}
		}
		one := publish("one")
		poll("", "1000", "data: one\n\n", 0)
		poll(one, "1000", "", time.Second)
		poll(one, "-1", "", 0)
		poll(one, "9999999999999", "", time.Minute)
		time.AfterFunc(time.Second, func() { publish("two") })
		poll(one, "20000", "data: two\n\n", time.Second)
	})
}
