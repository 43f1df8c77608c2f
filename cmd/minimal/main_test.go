//go:build unix

package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"example.com/sse-demo/sse/ssetest"
)

// TestMinimal builds the service, reads a stream, resumes it, and ends the service
// by SIGTERM, which ends the stream cleanly.
func TestMinimal(t *testing.T) {
	url, service := startService(t)
	if out, err := exec.CommandContext(t.Context(), service.Path).CombinedOutput(); err == nil || strings.Count(string(out), "\n") != 1 {
		t.Errorf("a second one at the same address: %v, %q", err, out)
	}
	if page := read(t, http.MethodGet, url+"/", ""); !strings.Contains(page, "EventSource('/events')") {
		t.Error(page)
	}
	for _, text := range []string{"one", "two\nlines"} {
		read(t, http.MethodPost, url+"/publish", text)
	}
	refuseCrossSite(t, url)
	stream := open(t, url+"/events", "") // replays
	var first, second ssetest.Event
	for _, e := range []*ssetest.Event{&first, &second} {
		var err error
		if *e, err = stream.Next(); err != nil {
			t.Fatal(err)
		}
	}
	if first.Data != "one" || second.Data != "two\nlines" || stream.Retry() == 0 {
		t.Error(first, second, stream.Retry())
	}
	resumed := open(t, url+"/events", first.ID)
	read(t, http.MethodPost, url+"/publish", "three")
	for _, want := range []string{"two\nlines", "three"} {
		if e, err := resumed.Next(); err != nil || e.Data != want {
			t.Error(e, err)
		}
	}
	if err := service.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := resumed.Next(); !errors.Is(err, io.EOF) || len(resumed.Faults) > 0 {
		t.Error("the stream was cut:", err, resumed.Faults)
	}
	if err := service.Wait(); err != nil {
		t.Error(err)
	}
	if log := service.Stderr.(*bytes.Buffer).String(); strings.Count(log, "\n") != 1 || !strings.HasSuffix(log, "listening on "+url+"/\n") {
		t.Errorf("%q", log)
	}
}

// refuseCrossSite publishes as a browser does for a page of another site.
func refuseCrossSite(t *testing.T, url string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/publish", strings.NewReader("of another site"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusForbidden {
		t.Error(response.Status)
	}
}

// startService builds and starts the service with another address than its own.
func startService(t *testing.T) (url string, service *exec.Cmd) {
	t.Helper()
	addr, dir := ssetest.FreeAddr(t), t.TempDir()
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	changed, overlay, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "minimal")
	for path, text := range map[string]string{
		changed: strings.Replace(string(source), "localhost:8080", addr, 1),
		overlay: fmt.Sprintf(`{"Replace": {"main.go": %q}}`, changed),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	service = exec.CommandContext(t.Context(), binary)
	service.Stderr = new(bytes.Buffer)
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	ssetest.AwaitServer(t, addr)
	return "http://" + addr, service
}

func do(t *testing.T, method, url, body, lastEventID string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if lastEventID != "" {
		request.Header.Set("Last-Event-ID", lastEventID)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	if response.StatusCode != http.StatusOK {
		t.Fatal(response.Status)
	}
	return response
}

func read(t *testing.T, method, url, body string) string {
	t.Helper()
	text, err := io.ReadAll(do(t, method, url, body, "").Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func open(t *testing.T, url, lastEventID string) *ssetest.Reader {
	t.Helper()
	return ssetest.NewReader(do(t, http.MethodGet, url, "", lastEventID).Body)
}
