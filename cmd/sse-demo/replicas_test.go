package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/sse-demo/deploy/proxytest"
	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/pubsub/redistest"
	"example.com/sse-demo/sse/ssetest"
)

// TestRedisGoesAway: streams stay, publishing is refused soon, and health and
// metrics say so; when Redis is back, so is everything.
func TestRedisGoesAway(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		how         string
		leave, back func(*redistest.Server)
	}{
		{"killed", (*redistest.Server).Kill, func(s *redistest.Server) { s.Run() }},
		{"paused", (*redistest.Server).Pause, (*redistest.Server).Resume},
	} {
		t.Run(tt.how, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			p := start(t, nil, "--redis-url", server.URL, "--heartbeat", "100ms")
			conn := p.open("/stream/channel?name=a")
			defer func() { _ = conn.Close() }()
			_ = conn.SetReadDeadline(time.Now().Add(3 * patience))
			stream := readerOf(conn)
			if err := p.publish("1"); err != nil {
				t.Fatal(err)
			}
			if health := p.get("/health"); !strings.Contains(health, `"status":"ok"`) || !strings.Contains(health, `"broker":"redis"`) || p.gauge("sse_broker_up") != 1 {
				t.Error(health)
			}
			tt.leave(server)
			began := time.Now()
			status, err := p.post("/publish", `{"channel":"a","payload":"refused"}`)
			if status != http.StatusServiceUnavailable || time.Since(began) > 2*time.Second {
				t.Error(status, err, time.Since(began))
			}
			if status, _ := p.post("/jobs", `{"id":"a"}`); status != http.StatusServiceUnavailable {
				t.Error("jobs:", status)
			}
			p.eventually("health and metrics say so", func() bool {
				return strings.Contains(p.get("/health"), `"status":"degraded"`) && p.gauge("sse_broker_up") == 0
			})
			tt.back(server)
			p.eventually("it is back", func() bool { return strings.Contains(p.get("/health"), `"status":"ok"`) })
			if err := p.publish(`"back"`); err != nil {
				t.Error(err)
			}
			for data := ""; data != `"back"`; {
				e, err := stream.Next()
				if err != nil {
					t.Fatal(err)
				}
				data = e.Data
				if data != `1` && data != `"refused"` && data != `"back"` { // a 503 that was in fact stored may come
					t.Errorf("%+v", e)
				}
			}
			if len(stream.Comments) < 5 || len(stream.Faults) > 0 {
				t.Error("no heartbeats while Redis was away", stream.Comments, stream.Faults)
			}
		})
	}
}

// TestStartWithoutRedis: a line at once says that Redis is not there, and one at the end that
// the program gives up. A refusal is one line.
func TestStartWithoutRedis(t *testing.T) {
	t.Parallel()
	fails := func(t *testing.T, url string, lines int, says string) {
		t.Helper()
		cmd := programCommand(t, []string{"SSE_REDIS_URL=" + url}, "--addr", "127.0.0.1:0")
		out, _ := cmd.CombinedOutput()
		text := string(out)
		if cmd.ProcessState.ExitCode() != 1 || strings.Count(text, "\n") != lines || strings.Count(text, says) < lines || !strings.Contains(text, "--redis-url") {
			t.Errorf("exit status %d, %q", cmd.ProcessState.ExitCode(), text)
		}
	}
	t.Run("it does not come", func(t *testing.T) {
		t.Parallel()
		server := redistest.Prepare(t)
		fails(t, server.URL, 2, server.Addr)
	})
	t.Run("it comes within a few seconds", func(t *testing.T) {
		t.Parallel()
		server := redistest.Prepare(t)
		late := make(chan struct{})
		go func() {
			defer close(late)
			if err := server.Launch(); err != nil {
				t.Error(err)
			}
		}()
		p := start(t, []string{"SSE_REDIS_URL=" + server.URL, "SSE_ADDR=127.0.0.1:0"})
		<-late
		if err := p.publish("1"); err != nil {
			t.Error(err)
		}
	})
	t.Run("it refuses", func(t *testing.T) {
		t.Parallel()
		server := redistest.Start(t)
		fails(t, strings.Replace(server.URL, redistest.Password, "wrong", 1), 1, "WRONGPASS")
		server.Do("SET", jobsKey, "x")
		fails(t, server.URL, 1, "with the key "+jobsKey+": WRONGTYPE")
	})
}

// TestJobsOnReplicas: started on one, watched and cancelled on others. Jobs take
// nothing of what Redis keeps of the channels.
func TestJobsOnReplicas(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one, two := start(t, nil, "--redis-url", server.URL), start(t, nil, "--redis-url", server.URL)
	before := server.Do("XLEN", channelsKey)
	if status, err := one.post("/jobs", `{"id":"short","durationMs":500}`); status != http.StatusAccepted {
		t.Fatal(status, err)
	}
	if status, _ := two.post("/jobs", `{"id":"short"}`); status != http.StatusConflict {
		t.Error("it can be started twice:", status)
	}
	_ = one.get("/stream/progress?id=short") // to its end: a gap before the first report would name no oldest event
	here, there := one.get("/stream/progress?id=short&lastEventId=0-0"), two.get("/stream/progress?id=short&lastEventId=0-0")
	_, here, _ = strings.Cut(here, "event: gap")
	_, there, _ = strings.Cut(there, "event: gap")
	if here != there || !strings.Contains(here, `"status":"succeeded"`) {
		t.Errorf("%s\n%s", here, there)
	}
	_, _ = one.post("/jobs", `{"id":"long","durationMs":600000}`)
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodDelete, two.url("/jobs/long"), nil)
	response, err := http.DefaultClient.Do(request)
	if err != nil || response.StatusCode != http.StatusNoContent {
		t.Fatal(response, err)
	}
	_ = response.Body.Close()
	if text := one.get("/stream/progress?id=long&lastEventId=0-0"); !strings.Contains(text, `"status":"cancelled"`) {
		t.Error(text)
	}
	if after := server.Do("XLEN", channelsKey); after != before {
		t.Errorf("the stream of the channels has %s entries, before the jobs it had %s", after, before)
	}
}

const (
	clusterClients    = 200
	clusterPublishers = 2 // on each replica
	clusterRate       = 4 * time.Millisecond
	clusterMore       = 50 // events between two faults
)

// cluster is three replicas behind nginx, on one Redis.
type cluster struct {
	*testing.T
	redis    *redistest.Server
	replicas []*program
	url      string // of nginx
	first    string // id of an event before all others
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{T: t, redis: redistest.Start(t)}
	var addrs []string
	for range 3 {
		p := start(t, nil, "--redis-url", c.redis.URL, "--history", "100000")
		c.replicas = append(c.replicas, p)
		addrs = append(addrs, p.addr)
	}
	c.url = proxytest.Start(t, "../../deploy/nginx.conf", addrs, proxytest.Nginx, proxytest.NginxChanges...)
	c.first, _ = publishTo(t, c.url, "first")
	return c
}

// publishTo returns the event's id, or an error if it was not acknowledged.
func publishTo(t *testing.T, url, data string) (string, error) {
	body := fmt.Sprintf(`{"channel":"a","payload":%q}`, data)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/publish", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	var reply struct{ ID string }
	if response.StatusCode != http.StatusOK {
		_, _ = io.Copy(io.Discard, response.Body)
		return "", fmt.Errorf("status %d", response.StatusCode)
	}
	return reply.ID, json.NewDecoder(response.Body).Decode(&reply)
}

// publishAll publishes on all replicas until ctx ends, and returns what was
// acknowledged.
func (c *cluster) publishAll(ctx context.Context, count *atomic.Int64) []string {
	var mu sync.Mutex
	var acknowledged []string
	var publishing sync.WaitGroup
	for i, replica := range c.replicas {
		for j := range clusterPublishers {
			publishing.Go(func() {
				tick := time.NewTicker(clusterRate)
				defer tick.Stop()
				for n := 0; ctx.Err() == nil; n++ {
					data := fmt.Sprintf("%d %d %d", i, j, n)
					if _, err := publishTo(c.T, replica.url(""), data); err == nil {
						mu.Lock()
						acknowledged = append(acknowledged, data)
						mu.Unlock()
						count.Add(1)
					}
					<-tick.C
				}
			})
		}
	}
	publishing.Wait()
	return acknowledged
}

// follow reads the channel from its first event to the one that says end, coming
// back whenever it is cut off, and returns all it has seen.
func (c *cluster) follow(reconnects *atomic.Int64) (seen []string) {
	id := c.first
	tick := time.NewTicker(50 * time.Millisecond) // its retry delay
	defer tick.Stop()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for end := time.Now().Add(6 * patience); time.Now().Before(end) && c.Context().Err() == nil; <-tick.C {
		request, err := http.NewRequestWithContext(c.Context(), http.MethodGet, c.url+"/stream/channel?name=a", nil)
		if err != nil {
			c.Error(err)
			return nil
		}
		request.Header.Set("Last-Event-ID", id)
		request.Header.Set("Accept", "text/event-stream")
		response, err := client.Do(request)
		if err != nil {
			continue
		}
		reconnects.Add(1)
		reader := ssetest.NewReader(response.Body)
		for response.StatusCode == http.StatusOK {
			e, err := reader.Next()
			if err != nil {
				break
			}
			before, _ := pubsub.ParseID(id)
			if now, ok := pubsub.ParseID(e.ID); !ok || now.Compare(before) <= 0 {
				c.Errorf("the event %s follows %s", e.ID, id)
			}
			seen, id = append(seen, e.Data), e.ID
			if e.Name != "message" {
				c.Errorf("%+v", e)
			}
			if e.Data == `"end"` {
				_ = response.Body.Close()
				return seen
			}
		}
		_ = response.Body.Close()
	}
	c.Error("the end has not come")
	return seen
}

// TestCluster: while 200 clients listen and all replicas are published to, a
// replica is killed, and Redis, too. Every client has every acknowledged event
// once, all in the same order.
func TestCluster(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	var reconnects, published atomic.Int64
	seen := make([][]string, clusterClients)
	var following, publishing sync.WaitGroup
	t.Cleanup(following.Wait) // they report to the test, also if it fails before their end
	t.Cleanup(publishing.Wait)
	for i := range seen {
		following.Go(func() { seen[i] = c.follow(&reconnects) })
	}
	c.replicas[0].eventually("all are there", func() bool { return reconnects.Load() >= clusterClients })

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var acknowledged []string
	publishing.Go(func() { acknowledged = c.publishAll(ctx, &published) })
	more := func() {
		t.Helper()
		n := published.Load()
		c.replicas[0].eventually("events are acknowledged", func() bool { return published.Load() > n+clusterMore })
	}
	more()
	c.replicas[2].signal(os.Kill)
	more()
	c.redis.Kill()
	c.replicas[0].eventually("it is noticed", func() bool { return strings.Contains(c.replicas[0].get("/health"), "degraded") })
	c.redis.Run()
	more()
	cancel()
	publishing.Wait()
	c.replicas[0].eventually("the end is acknowledged", func() bool { _, err := publishTo(t, c.replicas[0].url(""), "end"); return err == nil })
	following.Wait()

	t.Logf("the clients came %d times", reconnects.Load())
	c.compare(seen, acknowledged)
}

// compare checks that all clients have seen the same, and everything that was
// acknowledged, once.
func (c *cluster) compare(seen [][]string, acknowledged []string) {
	c.Helper()
	c.Logf("%d acknowledged, %d seen by each of %d clients", len(acknowledged), len(seen[0]), len(seen))
	for i := range seen {
		if !slices.Equal(seen[i], seen[0]) {
			c.Fatalf("client %d has seen %d events, client 0 %d, or others", i, len(seen[i]), len(seen[0]))
		}
	}
	times := map[string]int{}
	for _, data := range seen[0] {
		if times[data]++; times[data] > 1 {
			c.Error("twice:", data)
		}
	}
	for _, data := range acknowledged {
		if times[`"`+data+`"`] != 1 {
			c.Error("lost:", data)
		}
	}
}
