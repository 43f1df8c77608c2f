package redisbroker

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/pubsub/redistest"
)

// slowLine is a connection to Redis that brings some bytes at a time, with a pause
// after each piece.
func slowLine(t *testing.T, server *redistest.Server, piece int, pause time.Duration) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	running.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := new(net.Dialer).DialContext(ctx, "tcp", server.Addr)
			if err != nil {
				_ = near.Close()
				continue
			}
			context.AfterFunc(ctx, func() { _ = near.Close(); _ = far.Close() })
			running.Go(func() { _, _ = io.Copy(far, near); _ = far.Close() })
			running.Go(func() {
				tick := time.NewTicker(pause)
				defer tick.Stop()
				for err == nil {
					_, err = io.CopyN(near, far, int64(piece))
					select {
					case <-tick.C:
					case <-ctx.Done():
					}
				}
				_ = near.Close()
			})
		}
	})
	t.Cleanup(func() { _ = listener.Close(); cancel(); running.Wait() })
	return strings.Replace(server.URL, server.Addr, listener.Addr().String(), 1)
}

// TestSlowLine: a replica starts, and catches up, although reading all takes many
// times as long as Start waits for Redis. Only silence has a deadline, see TestSilence.
func TestSlowLine(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	const events, size = 100, 20_000 // 2 MB, at 2 kB a millisecond: 1 s
	fill(t, server, defaultKey, events, size)
	far := replica(t, slowLine(t, server, 20_000, 10*time.Millisecond), quick, func(o *Options) { o.timing.start = time.Millisecond })
	if n := len(next(t, subscribe(t, far, "channel-7", pubsub.Start{Replay: 1}))); n != 1 {
		t.Error("the history was not loaded")
	}
	fill(t, server, defaultKey, events, size) // as if it had been cut off meanwhile
	end := publish(t, replica(t, server.URL), "a", "end")
	eventually(t, "it has caught up", func() bool { return far.arrivals.position().String() == end })
	eventually(t, "it is well", func() bool { return far.Err() == nil })
}

// TestLineBreaks: a replica starts although its connection breaks again and again,
// for longer as a whole than Start waits for Redis: it goes on where it was.
func TestLineBreaks(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	fill(t, server, defaultKey, 2000, 20_000)
	line, url := lineTo(t, server)
	b, err := New(options(url, func(o *Options) { o.timing.start = 2 * retryInterval }))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	starting := make(chan error, 1)
	go func() { starting <- b.Start(t.Context()) }()
	for range 5 {
		before := b.arrivals.position()
		eventually(t, "more is read", func() bool { return b.arrivals.position() != before })
		line.set(true)
		line.set(false)
	}
	if err := <-starting; err != nil {
		t.Fatal(err)
	}
	publish(t, b, "a", "end")
}

// TestShortConnections: a replica starts, and catches up, although every connection
// breaks before it could bring what one read may ask for.
func TestShortConnections(t *testing.T) {
	const events, size, limit = 40, 20_000, 200_000
	t.Run("start", func(t *testing.T) {
		t.Parallel()
		server := redistest.Start(t)
		fill(t, server, defaultKey, events, size)
		line, url := lineTo(t, server)
		line.shorten(limit)
		s := subscribe(t, replica(t, url), "channel-7", pubsub.Start{Replay: 1})
		if n := len(next(t, s)); n != 1 {
			t.Error("the history was not loaded")
		}
	})
	t.Run("catch up", func(t *testing.T) {
		t.Parallel()
		server := redistest.Start(t)
		line, url := lineTo(t, server)
		far := replica(t, url)
		s := subscribe(t, far, "channel-7", pubsub.Start{})
		line.set(true)
		fill(t, server, defaultKey, events, size)
		end := publish(t, replica(t, server.URL), "a", "end")
		line.shorten(limit)
		line.set(false)
		eventually(t, "it has caught up", func() bool { return far.arrivals.position().String() == end })
		if seen := next(t, s); len(seen) != 1 || isGap(seen[0]) {
			t.Errorf("%d events have come: %.50q", len(seen), seen)
		}
	})
}

// TestStartTriesAgain: the first connection fails later than Start would wait for a
// Redis that is not there.
func TestStartTriesAgain(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	hung, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hung.Close() }()
	line, url := lineTo(t, server)
	line.lead(&redistest.Server{Addr: hung.Addr().String()})
	go func() {
		if conn, err := hung.Accept(); err == nil {
			line.lead(server)
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}
	}()
	replica(t, url, quick, func(o *Options) { o.timing.start = time.Second })
}

// TestOneLargeEvent takes longer than the deadline that go-redis has for an answer.
func TestOneLargeEvent(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	data := strings.Repeat("x", 3<<20)
	publish(t, replica(t, server.URL), "a", data)
	far := replica(t, slowLine(t, server, 20_000, 20*time.Millisecond), func(o *Options) { o.timing.publish = defaultTiming.publish })
	if got := await(t, subscribe(t, far, "a", pubsub.Start{Replay: 1}), 1); got[0] != data {
		t.Errorf("%d bytes have come", len(got[0]))
	}
}

// TestLineStops: an answer of which nothing more comes is given up.
func TestLineStops(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	fill(t, server, defaultKey, 100, 20_000)
	began := time.Now()
	b, err := New(options(slowLine(t, server, 10_000, time.Hour), func(o *Options) {
		o.timing.start, o.timing.silence = time.Millisecond, 300*time.Millisecond
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "in time") {
		t.Error(time.Since(began), err)
	}
}

// TestTrimmedWhileLoading: what was trimmed before it was read is a gap.
func TestTrimmedWhileLoading(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	near := replica(t, server.URL)
	first := publish(t, near, "a", "first")
	fill(t, server, defaultKey, 300, 20_000)
	b, err := New(options(slowLine(t, server, 20_000, 10*time.Millisecond)))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	starting := make(chan error, 1)
	go func() { starting <- b.Start(t.Context()) }()
	eventually(t, "it has begun", func() bool { return b.arrivals.position() != pubsub.ID{} })
	server.Do("XTRIM", defaultKey, "MAXLEN", 1)
	last := publish(t, near, "a", "last")
	if err := <-starting; err != nil {
		t.Fatal(err)
	}
	newest, _ := pubsub.ParseID(last)
	eventually(t, "it has caught up", func() bool { return b.arrivals.position().Compare(newest) >= 0 })
	expect(t, "a client that comes back", next(t, subscribe(t, b, "a", pubsub.Start{After: first})), gap(first, last), "last")
}
