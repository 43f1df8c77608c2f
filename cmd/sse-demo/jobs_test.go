package main

import (
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"example.com/sse-demo/pubsub/redistest"
)

// TestJobsEndWithTheirProcess: at SIGTERM watchers get the end of their job, here
// and on another replica. After a kill and a restart, a client that resumes is
// answered that its job is gone.
func TestJobsEndWithTheirProcess(t *testing.T) {
	const shutDown = `"status":"failed","error":"the process that ran this job was shut down`
	watch := func(p *program, id string) <-chan string {
		response, err := http.Get(p.url("/stream/progress?id=" + id)) //nolint:noctx // it ends with the process
		if err != nil {
			t.Fatal(err)
		}
		text := make(chan string, 1)
		go func() {
			defer func() { _ = response.Body.Close() }()
			all, err := io.ReadAll(response.Body)
			if err != nil {
				all = append(all, err.Error()...)
			}
			text <- string(all)
		}()
		return text
	}

	redis := redistest.Start(t)
	one, two := start(t, nil, "--redis-url", redis.URL), start(t, nil, "--redis-url", redis.URL)
	if status, err := one.post("/jobs", `{"id":"a","durationMs":600000}`); status != http.StatusAccepted {
		t.Fatal(status, err)
	}
	here, there := watch(one, "a"), watch(two, "a")
	one.signal(syscall.SIGTERM)
	one.ends(0)
	for _, text := range []string{<-here, <-there} {
		if !strings.Contains(text, shutDown) || !strings.HasSuffix(text, "\n\n") {
			t.Error(text)
		}
	}

	free := listenAnywhere(t)
	addr := "SSE_ADDR=" + free.Addr().String()
	_ = free.Close()
	p := start(t, []string{addr})
	_, after, _ := strings.Cut(p.curl("event: progress", p.url("/stream/progress?id=a")), "id: ")
	id, _, _ := strings.Cut(after, "\n")
	p.signal(os.Kill)
	p.ends(-1)
	p = start(t, []string{addr})
	text := p.get("/stream/progress?id=a&lastEventId=" + id)
	if !strings.Contains(text, "event: gap\ndata: {\"after\":\""+id+"\"") || !strings.Contains(text, `"status":"failed","error":"this job is no longer known`) {
		t.Error(text)
	}
}
