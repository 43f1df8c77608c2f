package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"example.com/sse-demo/pubsub/redistest"
	"example.com/sse-demo/sse/ssetest"
)

// TestRights runs the service as the Redis user that docs/replicas.md creates, and with no
// other rights. It uses two keys.
func TestRights(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "docs", "replicas.md"))
	if err != nil {
		t.Fatal(err)
	}
	server := redistest.Start(t)
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); strings.HasPrefix(line, "ACL ") {
			args := make([]any, len(words)-1)
			for i := range args {
				args[i] = words[i+1]
			}
			server.Do("ACL", args...)
		}
	}
	url := strings.Replace(server.URL, ":"+redistest.Password, "sse-demo:secret", 1)
	one, two := start(t, nil, "--redis-url", url), start(t, nil, "--redis-url", url)
	conn := two.open("/stream/channel?name=news")
	defer func() { _ = conn.Close() }()
	stream := readerOf(conn)
	if status, err := one.post("/publish", `{"channel":"news","payload":"over HTTP"}`); status != http.StatusOK {
		t.Fatal(status, err)
	}
	server.Do("XADD", channelsKey, "*", "c", "news", "n", "gap", "d", "not sent")
	id := redisCLI(t, url, string(text))
	for _, want := range []ssetest.Event{{Name: "message", Data: `"over HTTP"`}, {ID: id, Name: "greeting", Data: `{"msg":"hello"}`}} {
		e, err := stream.Next()
		if want.ID == "" {
			e.ID = ""
		}
		if err != nil || e != want {
			t.Fatalf("%+v, %v, want %+v", e, err, want)
		}
	}
	if status, err := two.post("/jobs", `{"id":"short","durationMs":500}`); status != http.StatusAccepted {
		t.Error(status, err)
	}
	if progress := one.get("/stream/progress?id=short"); !strings.Contains(progress, `"status":"succeeded"`) {
		t.Error(progress)
	}
	server.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	for _, p := range []*program{one, two} {
		if err := p.publish("1"); err != nil {
			t.Error(err)
		}
		if health := p.get("/health"); !strings.Contains(health, `"status":"ok"`) {
			t.Error(health)
		}
	}
	if keys := server.Do("KEYS", "*"); keys != "["+channelsKey+" "+jobsKey+"]" && keys != "["+jobsKey+" "+channelsKey+"]" {
		t.Error(keys)
	}
	server.Do("ACL", "SETUSER", "sse-demo", "-xadd")
	one.eventually("a right is missing", func() bool { return strings.Contains(one.get("/health"), `"status":"degraded"`) })
}

// redisCLI runs the command that docs/replicas.md shows, and returns the id of the entry.
func redisCLI(t *testing.T, url, page string) string {
	t.Helper()
	ssetest.Need(t, "redis-cli", "redis-tools")
	command := regexp.MustCompile(`(?m)^redis-cli (XADD .*)$`).FindStringSubmatch(page)
	if command == nil {
		t.Fatal("docs/replicas.md shows no redis-cli XADD")
	}
	//nolint:gosec // the command of the page
	out, err := exec.CommandContext(t.Context(), "sh", "-c", "redis-cli --no-auth-warning -u '"+url+"' "+command[1]).CombinedOutput()
	if err != nil {
		t.Fatal(err, string(out))
	}
	return strings.TrimSpace(string(out))
}

// TestRedisClusterFails: the node of a cluster that has the streams is lost, or hangs. Publishing
// is back within seconds, jobs go on, health says so, and the stream stays open.
func TestRedisClusterFails(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*redistest.Server){"is lost": (*redistest.Server).Kill, "hangs": (*redistest.Server).Pause} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testClusterFails(t, end)
		})
	}
}

func testClusterFails(t *testing.T, end func(*redistest.Server)) {
	t.Helper()
	c := redistest.StartCluster(t)
	p := start(t, nil, "--redis-url", c.Nodes[0].URL, "--heartbeat", "100ms")
	conn := p.open("/stream/channel?name=a")
	defer func() { _ = conn.Close() }()
	stream := readerOf(conn)
	if err := p.publish(`"before"`); err != nil {
		t.Fatal(err)
	}
	owner := c.Owner(channelsKey)
	if jobs := c.Owner(jobsKey); jobs != owner {
		t.Errorf("the keys are on the nodes %d and %d", owner, jobs)
	}
	c.Failover(owner, end)
	p.eventually("publishing is back", func() bool { return p.publish(`"after"`) == nil })
	p.eventually("health says so", func() bool { return strings.Contains(p.get("/health"), `"status":"ok"`) })
	p.eventually("jobs are back", func() bool {
		status, _ := p.post("/jobs", `{"id":"short","durationMs":500}`)
		return status == http.StatusAccepted || status == http.StatusConflict // an attempt that was not confirmed has started it
	})
	if progress := p.get("/stream/progress?id=short"); !strings.Contains(progress, `"status":"succeeded"`) {
		t.Error(progress)
	}
	for data := ""; data != `"after"`; {
		e, err := stream.Next()
		if err != nil {
			t.Fatal(err)
		}
		data = e.Data
	}
	if len(stream.Comments) < 5 || len(stream.Faults) > 0 {
		t.Error("the stream was not alive meanwhile:", stream.Comments, stream.Faults)
	}
}
