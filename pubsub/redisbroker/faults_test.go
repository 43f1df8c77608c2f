package redisbroker

import (
	"cmp"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/pubsub/redistest"
)

func TestRedisIsKilled(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--appendfsync", "always")
	one, two, check := busyReplicas(t, server)
	for range 2 {
		await(t, subscribe(t, two, "a", pubsub.Start{}), 100)
		server.Kill()
		eventually(t, "both notice", func() bool { return one.Err() != nil && two.Err() != nil })
		server.Run("--appendfsync", "always")
		eventually(t, "both are back", func() bool { return one.Err() == nil && two.Err() == nil })
	}
	await(t, subscribe(t, two, "a", pubsub.Start{}), 100)
	check()
}

func TestRedisIsPaused(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one, two, check := busyReplicas(t, server)
	await(t, subscribe(t, two, "a", pubsub.Start{}), 200)
	server.Pause()
	if _, err := one.Publish(t.Context(), "a", "", nil); err == nil { // it does not wait for ever
		t.Error("it is confirmed")
	}
	eventually(t, "both notice", func() bool { return one.Err() != nil && two.Err() != nil })
	server.Resume()
	eventually(t, "both are back", func() bool { return one.Err() == nil && two.Err() == nil })
	await(t, subscribe(t, two, "a", pubsub.Start{}), 200)
	check()
}

func TestConnectionsAreCut(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	_, two, check := busyReplicas(t, server)
	for range 10 {
		await(t, subscribe(t, two, "a", pubsub.Start{}), 50)
		server.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	}
	check()
}

// A cable is a connection between a replica and Redis that can be cut.
type cable struct {
	net.Listener
	target string
	mu     sync.Mutex
	cut    bool
	limit  int64 // bytes that each connection brings, before it breaks; 0 for any number
	conns  []net.Conn
}

func lineTo(t *testing.T, server *redistest.Server) (*cable, string) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &cable{Listener: listener, target: server.Addr}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			l.mu.Lock()
			far, err := net.Dial("tcp", l.target) //nolint:noctx // ended with the line
			if err != nil || l.cut {
				_ = near.Close()
			} else {
				l.conns = append(l.conns, near, far)
				limit := cmp.Or(l.limit, math.MaxInt64)
				running.Go(func() { _, _ = io.CopyN(near, far, limit); _ = near.Close() })
				running.Go(func() { _, _ = io.Copy(far, near); _ = far.Close() })
			}
			l.mu.Unlock()
		}
	})
	t.Cleanup(func() { _ = l.Close(); l.set(true); running.Wait() })
	return l, strings.Replace(server.URL, server.Addr, listener.Addr().String(), 1)
}

// lead makes new connections lead to another server.
func (l *cable) lead(server *redistest.Server) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.target = server.Addr
}

// shorten makes each new connection break after it has brought so many bytes.
func (l *cable) shorten(limit int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit = limit
}

func (l *cable) set(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
	if cut {
		for _, c := range l.conns {
			_ = c.Close()
		}
		l.conns = nil
	}
}

func TestTrimmedWhileAway(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	line, url := lineTo(t, server)
	near, far := replica(t, server.URL), replica(t, url, quick)
	live, quiet := subscribe(t, far, "a", pubsub.Start{}), subscribe(t, far, "b", pubsub.Start{})
	first := publish(t, near, "a", "first")
	expect(t, "live", await(t, live, 1), "first")
	line.set(true)
	eventually(t, "the cut is noticed", func() bool { return far.Err() != nil })
	for i := range 50 {
		publish(t, near, "a", strconv.Itoa(i))
	}
	oldest := publish(t, near, "a", "last")
	server.Do("XTRIM", defaultKey, "MAXLEN", "=", 1)
	line.set(false)
	seen := await(t, live, 2)
	if strings.HasSuffix(seen[0], `"oldest":null}`) { // it was read before the oldest event had come
		seen[0] = gap(first, oldest)
	}
	expect(t, "live", seen, gap(first, oldest), "last")
	if got := await(t, quiet, 1); len(got) != 1 || !strings.HasSuffix(got[0], `"oldest":null}`) {
		t.Errorf("a channel that may have had events: %q", got)
	}
	t.Run("a client that comes back", func(t *testing.T) {
		expect(t, "resume", await(t, subscribe(t, far, "a", pubsub.Start{After: first}), 2), gap(first, oldest), "last")
	})
	t.Run("all trimmed", func(t *testing.T) {
		server.Do("XTRIM", defaultKey, "MAXLEN", "=", 0)
		if got := await(t, live, 1); !isGap(got[0]) {
			t.Errorf("%q", got)
		}
		publish(t, near, "a", "on")
		eventually(t, "it goes on", func() bool { return slices.Contains(next(t, live), "on") })
	})
}

// TestRedisForgets: a Redis that has lost its data, and whose clock is behind,
// goes on above the ids that were given out.
func TestRedisForgets(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	r := replica(t, server.URL)
	future := strconv.FormatInt(time.Now().Add(30*time.Second).UnixMilli(), 10) + "-7"
	live := subscribe(t, r, "a", pubsub.Start{})
	server.Do("XADD", defaultKey, future, "c", "a", "n", "", "d", "future")
	expect(t, "live", await(t, live, 1), "future")
	server.Do("FLUSHALL")
	if got := await(t, live, 1); !isGap(got[0]) {
		t.Errorf("%q", got)
	}
	id := publish(t, r, "a", "after")
	before, _ := pubsub.ParseID(future)
	after, _ := pubsub.ParseID(id)
	if after.Compare(before) <= 0 {
		t.Error("ids have fallen to", id)
	}
	eventually(t, "it goes on", func() bool { return slices.Contains(next(t, live), "after") })
}

// TestRandomFaults: whatever happens to Redis and the connections, in any order, what was
// acknowledged comes once and in the same order everywhere, as long as Redis keeps it.
func TestRandomFaults(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--appendfsync", "always")
	one, two, check := busyReplicas(t, server)
	faults := []struct {
		name string
		do   func()
	}{
		{"connections are cut", func() { server.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") }},
		{"writes are paused", func() { server.Do("CLIENT", "PAUSE", 1000, "WRITE") }},
		{"all is paused", func() { server.Do("CLIENT", "PAUSE", 2000, "ALL") }},
		{"scripts are forgotten", func() { server.Do("SCRIPT", "FLUSH") }},
		{"the process is killed", func() { server.Kill(); server.Run("--appendfsync", "always") }},
		{"the process stops", func() {
			server.Pause()
			_, _ = one.Publish(t.Context(), "b", "", nil)
			server.Resume()
		}},
	}
	for range 10 {
		fault := faults[rand.IntN(len(faults))]
		t.Log(fault.name)
		fault.do()
		await(t, subscribe(t, two, "a", pubsub.Start{}), 50)
	}
	eventually(t, "all is well", func() bool { return one.Err() == nil && two.Err() == nil })
	check()
}
