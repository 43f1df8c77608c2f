package redisbroker

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/pubsub/redistest"
)

// TestUnconfirmed: a publisher learns whether its event may still appear.
func TestUnconfirmed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := replica(t, server.URL, quick)
	s := subscribe(t, b, "a", pubsub.Start{})
	attempt := func(data string) error {
		t.Helper()
		_, err := b.Publish(t.Context(), "a", "", []byte(data))
		return err
	}
	var err error
	for range 5 { // if a probe has the connection, the publisher needs another, and has sent nothing yet
		publish(t, b, "a", "connected")
		server.Pause()
		err = attempt("paused")
		server.Resume()
		eventually(t, "it is well", func() bool { return b.Err() == nil })
		if !errors.Is(err, pubsub.ErrNotPublished) {
			break
		}
	}
	if !errors.Is(err, pubsub.ErrUnconfirmed) {
		t.Errorf("the answer is lost: %v", err)
	}
	for seen := await(t, s, 1); !slices.Contains(seen, "paused"); { // it has appeared
		seen = await(t, s, 1)
	}
	server.Do("CONFIG", "SET", "maxmemory", 1)
	if err := attempt("refused"); !errors.Is(err, pubsub.ErrNotPublished) || errors.Is(err, pubsub.ErrUnconfirmed) {
		t.Errorf("Redis refuses: %v", err)
	}
	server.Do("CONFIG", "SET", "maxmemory", 0)
	server.Kill()
	eventually(t, "no connection is left", func() bool { return errors.Is(attempt("away"), pubsub.ErrNotPublished) })
	server.Run()
	eventually(t, "it is well", func() bool { return b.Err() == nil })
	publish(t, b, "a", "end")
	if seen := read(t, s); slices.Contains(seen, "refused") {
		t.Errorf("%q", seen)
	}
}

// TestLostWhileOthersCome: Redis has lost an event, and the entries that this process reads
// next have higher ids. The event is not confirmed.
func TestLostWhileOthersCome(t *testing.T) {
	a := arrivals{more: make(chan struct{})}
	for ms := range uint64(20 * maxCount) {
		if ms != 19_990 {
			a.add([]arrival{{pubsub.ID{ms, 0}, 7}})
		}
	}
	for ms, want := range map[uint64]bool{19_989: false, 19_990: true, 19_991: false, 5: false} {
		_, isLost, err := a.await(t.Context(), pubsub.ID{ms, 0})
		if err != nil || isLost != want {
			t.Errorf("%d: lost: %v, %v", ms, isLost, err)
		}
	}
	if n, _, _ := a.await(t.Context(), pubsub.ID{19_989, 0}); n != 7 {
		t.Errorf("%d subscribers", n)
	}
}

// TestIdleConnectionsAreCut: an event is not sent over a connection that Redis has
// closed, and none is stored twice.
func TestIdleConnectionsAreCut(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB, ...string) *redistest.Server{"TCP": redistest.Start, "TLS": startTLS} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t)
			b := replica(t, server.URL)
			s := subscribe(t, b, "a", pubsub.Start{})
			var want []string
			for i := range 20 {
				want = append(want, fmt.Sprint(i, " before"), fmt.Sprint(i, " after"))
				publish(t, b, "a", want[2*i])
				server.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
				publish(t, b, "a", want[2*i+1])
			}
			expect(t, "each once", await(t, s, len(want)), want...)
		})
		t.Run(name+", by its own timeout", func(t *testing.T) {
			t.Parallel()
			server := start(t, "--timeout", "1")
			b := replica(t, server.URL, func(o *Options) { o.timing.probe = time.Hour }) // which would keep a connection in use
			publish(t, b, "a", "1")
			eventually(t, "idle connections are closed", func() bool {
				return !strings.Contains(server.Do("CLIENT", "LIST", "TYPE", "normal"), "cmd=eval")
			})
			publish(t, b, "a", "2")
		})
	}
}

// TestPublishTakesLessThanTwoSeconds: one deadline holds for everything it does.
func TestPublishTakesLessThanTwoSeconds(t *testing.T) {
	if defaultTiming.publish >= 2*time.Second {
		t.Error(defaultTiming.publish)
	}
}
