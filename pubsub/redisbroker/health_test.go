package redisbroker

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/pubsub/redistest"
)

// TestHealthIsSteady samples Err while events cannot be published, for any reason:
// it says so soon, does not flap, and is nil again when they can.
func TestHealthIsSteady(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		away, back func(*redistest.Server)
	}{
		{
			"out of memory",
			func(s *redistest.Server) { s.Do("CONFIG", "SET", "maxmemory", 1) },
			func(s *redistest.Server) { s.Do("CONFIG", "SET", "maxmemory", 0) },
		},
		{
			"read-only",
			func(s *redistest.Server) { s.Do("REPLICAOF", "127.0.0.1", "1") },
			func(s *redistest.Server) { s.Do("REPLICAOF", "NO", "ONE") },
		},
		{
			"too few replicas",
			func(s *redistest.Server) { s.Do("CONFIG", "SET", "min-replicas-to-write", 1) },
			func(s *redistest.Server) { s.Do("CONFIG", "SET", "min-replicas-to-write", 0) },
		},
		{"killed", (*redistest.Server).Kill, func(s *redistest.Server) { s.Run() }},
		{"paused", (*redistest.Server).Pause, (*redistest.Server).Resume},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			b := replica(t, server.URL, quick)
			publish(t, b, "a", "before")
			if b.Err() != nil {
				t.Fatal(b.Err())
			}
			tt.away(server)
			eventually(t, "it is noticed", func() bool { return b.Err() != nil })
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for i := range 200 { // several times as long as it takes to be well again
				<-tick.C
				if b.Err() == nil {
					t.Fatalf("sample %d says that all is well", i)
				}
			}
			if _, err := b.Publish(t.Context(), "a", "", nil); err == nil {
				t.Error("it can be published")
			}
			tt.back(server)
			eventually(t, "it is well", func() bool { return b.Err() == nil })
			publish(t, b, "a", "after")
		})
	}
}

// TestHealthOutlastsASlowProbe: while a probe takes longer than the time to be well again,
// reads succeed. The last probe has failed, so Err stays.
func TestHealthOutlastsASlowProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := health{recover: time.Second, log: slog.New(slog.DiscardHandler), failures: map[string]int{}}
		h.note("probe", redisError("READONLY"))
		for range 5 {
			<-time.After(time.Second)
			h.note("read", nil)
			if h.get() == nil {
				t.Fatal("it is well")
			}
		}
		h.note("probe", nil)
		if err := h.get(); err != nil {
			t.Error(err)
		}
		h.note("", redisError("OOM"))
		<-time.After(time.Second)
		if h.note("probe", nil); h.get() != nil {
			t.Error("an event that was refused is remembered for ever")
		}
	})
}

// redisError is an answer of Redis.
type redisError string

func (e redisError) Error() string { return string(e) }
func (redisError) RedisError()     {}

// TestOneCutIsNoFailure: a connection may be cut at any time.
func TestOneCutIsNoFailure(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := replica(t, server.URL, quick)
	server.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	publish(t, b, "a", "x")
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 100 {
		<-tick.C
		if err := b.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestHealthWritesNothing to the stream.
func TestHealthWritesNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := replica(t, server.URL, quick)
	before := server.Do("XLEN", DefaultKey)
	for range 20 {
		if err := b.probe(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if after := server.Do("XLEN", DefaultKey); after != before {
		t.Errorf("%s entries, then %s", before, after)
	}
}

// TestReadingFails: what is published does not arrive, and Err says so.
func TestReadingFails(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := replica(t, server.URL, quick)
	server.Do("ACL", "SETUSER", "default", "-xread")
	server.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	eventually(t, "it is noticed", func() bool { err := b.Err(); return err != nil && strings.Contains(err.Error(), "NOPERM") })
	server.Do("ACL", "SETUSER", "default", "+@all")
	eventually(t, "it is well", func() bool { return b.Err() == nil })
	s := subscribe(t, b, "a", pubsub.Start{})
	publish(t, b, "a", "x")
	expect(t, "live", await(t, s, 1), "x")
}

// TestBehind: what a process publishes is not confirmed while it reads too slowly, and
// Err says so.
func TestBehind(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	goOn := make(chan struct{})
	resume := sync.OnceFunc(func() { close(goOn) })
	t.Cleanup(resume)
	near, far := startJournal(t, server.URL, nil), startJournal(t, server.URL, func(string) { <-goOn }, quick)
	write(t, near, "x")
	eventually(t, "it is noticed", func() bool { return far.Err() != nil })
	if err := far.Publish(t.Context(), "", nil); !errors.Is(err, pubsub.ErrUnconfirmed) {
		t.Error(err)
	}
	if err := far.Err(); err == nil {
		t.Error("it does not last")
	}
	resume()
	eventually(t, "it is well", func() bool { return far.Err() == nil })
	write(t, far, "y")
}
