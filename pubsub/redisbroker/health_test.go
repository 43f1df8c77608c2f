package redisbroker

import (
	"errors"
	"io"
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

// TestHealth: a connection that is cut is no failure, an answer that refuses is one at once.
// It is over when a probe succeeds, some time after the last failure.
func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stream{options: Options{Logger: slog.New(slog.DiscardHandler), timing: timing{recover: 3 * time.Second}}}
		step := func(after time.Duration, result error, isBad bool) {
			t.Helper()
			<-time.After(after)
			s.note(result)
			if err := s.Err(); (err != nil) != isBad {
				t.Errorf("after %v: %v", result, err)
			}
		}
		step(0, io.EOF, false)
		step(0, io.EOF, false) // the other client
		step(tolerated/2, nil, false)
		step(tolerated, io.EOF, false)
		step(tolerated, io.EOF, true)
		step(0, nil, true)
		step(2*time.Second, io.EOF, true)
		step(2*time.Second, nil, true)
		step(time.Second, nil, false)
		step(0, redisError("OOM"), true)
		step(3*time.Second, nil, false)
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
	before := server.Do("XLEN", defaultKey)
	for range 20 {
		if err := b.probe(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if after := server.Do("XLEN", defaultKey); after != before {
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
