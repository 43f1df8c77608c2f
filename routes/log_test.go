package routes_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"example.com/sse-demo/routes"
	"example.com/sse-demo/routes/tail"
)

// TestLog is outside of a bubble: files are real, and so is the time they take.
func TestLog(t *testing.T) {
	config := options()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for _, name := range []string{"app", "web"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(name+" 1\n"+name+" 2\n"+name+" 3\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		follower := tail.New(path, zerolog.Nop())
		running.Go(func() { follower.Run(ctx) })
		config.Logs = append(config.Logs, routes.LogFile{Name: name, Tail: follower})
	}
	h := start(t, config)
	defer h.stop()
	h.stream("/stream/log").expect("log app 1", "log app 2", "log app 3")
	h.stream("/stream/log?file=web&lines=2").expect("log web 2", "log web 3")
	last := h.stream("/stream/log?file=web&grep=%5B12%5D").expect("log web 1", "log web 2")
	h.stream("/stream/log?file=web", "Last-Event-ID: "+last.ID).expect("log web 3")
	live := h.stream("/stream/log?lines=0")
	file, err := os.OpenFile(filepath.Join(dir, "app"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString("app 4\n"); err != nil {
		t.Fatal(err)
	}
	live.expect("log app 4")
	_ = file.Close()
}

// TestLogPoll: wait=0 answers with all that the file has now, in however many batches.
func TestLogPoll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app")
	var lines, tens []string
	for i := range 600 {
		lines = append(lines, fmt.Sprintf("line %d %s", i, strings.Repeat(".", 100)))
		if i%10 == 0 {
			tens = append(tens, lines[i])
		}
	}
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	follower := tail.New(path, zerolog.Nop())
	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	running.Go(func() { follower.Run(ctx) })
	config := options()
	config.Logs = []routes.LogFile{{Name: "app", Tail: follower}}
	h := start(t, config)
	defer h.stop()
	h.expectAll("/stream/log?wait=0&lines=200", lines[400:]...)
	h.expectAll("/stream/log?wait=0&lines=1000&grep=0%20", tens...)
	h.expectAll("/stream/log?wait=0&lines=1000&grep=nothing")
	for i := range 20 {
		last := h.stream("/stream/log?wait=0&lines=0").response.Header.Get("Last-Event-ID")
		added := fmt.Sprintf("added %d", i)
		file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteString(added + "\n"); err != nil {
			t.Fatal(err)
		}
		_ = file.Close()
		h.expectAll("/stream/log?wait=0&lastEventId="+last, added) // although nobody has read it yet
		h.expectAll("/stream/log?wait=0&grep=d&lastEventId="+last, added)
	}
}

// TestLogPollEndsAtShutdown has a poll that matches an expensive expression with
// megabytes: the service does not wait for that.
func TestLogPollEndsAtShutdown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app")
	if err := os.WriteFile(path, []byte(strings.Repeat(strings.Repeat("x", 60_000)+"\n", 200)), 0o600); err != nil {
		t.Fatal(err)
	}
	config := options()
	config.Logs = []routes.LogFile{{Name: "app", Tail: tail.New(path, zerolog.Nop())}}
	h := start(t, config)
	polls := make(chan struct{})
	go func() {
		defer close(polls)
		h.answer(http.MethodGet, "/stream/log?wait=0&lines=1000&grep="+url.QueryEscape("(?:.?){240}~"), "") // 0.2 s a line
	}()
	for stacks := make([]byte, 1<<20); !strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "tail.(*Feed).search"); {
		select {
		case <-polls:
			t.Fatal("the poll has ended before it searched")
		default:
			runtime.Gosched()
		}
	}
	h.app.Drain()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := h.app.Wait(ctx); err != nil {
		t.Error("the poll goes on")
	}
	<-polls
	h.stop()
}
