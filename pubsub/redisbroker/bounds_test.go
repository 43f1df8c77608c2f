package redisbroker

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/sse-demo/pubsub/redistest"
)

func usage(t *testing.T, client *redis.Client, key string) (events, bytes int64) {
	t.Helper()
	events, err := client.XLen(t.Context(), key).Result()
	if err == nil {
		bytes, err = client.MemoryUsage(t.Context(), key, 0).Result()
	}
	if err != nil {
		t.Fatal(err)
	}
	return events, bytes
}

// TestBytesAreBounded publishes several times as much as the stream may keep, from
// several replicas at once.
func TestBytesAreBounded(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client()
	for _, tt := range []struct{ size, limit int64 }{
		{10, 50_000}, {100, 200_000}, {1000, 2 << 20}, {2030, 2 << 20}, {5000, 2 << 20}, {20_000, 4 << 20}, {64 << 10, 8 << 20},
	} {
		t.Run(fmt.Sprint(tt.size, " bytes"), func(t *testing.T) {
			key := fmt.Sprint("size-", tt.size)
			limits := func(o *Options) { o.Key, o.MaxBytes = key, tt.limit }
			replicas := []*Broker{replica(t, server.URL, limits), replica(t, server.URL, limits), replica(t, server.URL, limits)}
			var publishing sync.WaitGroup
			for i := range 12 {
				publishing.Go(func() {
					data := []byte(strings.Repeat("x", int(tt.size)))
					for range 3*tt.limit/(50+tt.size)/12 + 1 { // an entry needs 50 bytes more
						if _, err := replicas[i%3].Publish(t.Context(), "a", "", data); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			for range 5 {
				if _, bytes := usage(t, client, key); bytes > tt.limit*11/10 {
					t.Errorf("meanwhile %d bytes are kept, the limit is %d", bytes, tt.limit)
				}
				publish(t, replicas[0], "a", "x")
			}
			publishing.Wait()
			events, bytes := usage(t, client, key)
			t.Logf("%d events in %d bytes, %.2f of the limit", events, bytes, float64(bytes)/float64(tt.limit))
			if bytes > tt.limit*11/10 || bytes < tt.limit*7/10 {
				t.Errorf("%d bytes are kept, the limit is %d", bytes, tt.limit)
			}
		})
	}
}

func TestEventsAreBounded(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client()
	for _, limit := range []int64{1, 10, 1000} {
		b := replica(t, server.URL, func(o *Options) { o.Key, o.MaxEvents = fmt.Sprint("events-", limit), int(limit) })
		for range 2*limit + 50 {
			publish(t, b, "a", "x")
			if events, _ := usage(t, client, b.options.Key); events > limit+limit/10 {
				t.Fatalf("%d events are kept, the limit is %d", events, limit)
			}
		}
		if events, _ := usage(t, client, b.options.Key); events < limit {
			t.Errorf("%d events are kept, the limit is %d", events, limit)
		}
	}
}

// TestLimitIsLowered, or what others have written is there: it is trimmed.
func TestLimitIsLowered(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	fill(t, server, defaultKey, 5000, 1000)
	client := server.Client()
	for range 10 { // entries of others have no size
		if err := client.Do(t.Context(), "XADD", defaultKey, "*", "what", "ever").Err(); err != nil {
			t.Fatal(err)
		}
	}
	b := replica(t, server.URL, func(o *Options) { o.MaxBytes = 1 << 20 })
	for range 100 { // enough to reach the next step
		publish(t, b, "a", strings.Repeat("x", 1000))
	}
	if events, bytes := usage(t, client, defaultKey); bytes > 11<<20/10 || events < 100 {
		t.Errorf("%d events in %d bytes are kept", events, bytes)
	}
	server.Do("DEL", defaultKey)
	for range 200 {
		if err := client.Do(t.Context(), "XADD", defaultKey, "*", "what", strings.Repeat("x", 50_000)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		publish(t, b, "a", strings.Repeat("x", 1000))
	}
	if _, bytes := usage(t, client, defaultKey); bytes > 11<<20/10 {
		t.Errorf("%d bytes are kept of what others have written", bytes)
	}
}

// TestTrimIsBounded: a stream that is far beyond its limit is trimmed step by step,
// so that Redis does not stand still, also if nothing is published.
func TestTrimIsBounded(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--appendonly", "no")
	client := server.Client()
	const events, size, limit = 3000, 20_000, 1 << 20
	fill(t, server, defaultKey, events, size)
	b, err := New(options(server.URL, func(o *Options) { o.MaxBytes = limit }))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close() // it was not started, so only this test trims
	if _, err := b.run(t.Context(), b.commands, checkScript, ""); err != nil {
		t.Fatal(err)
	}
	kept, _ := usage(t, client, defaultKey)
	if dropped := (events - kept) * size; dropped < 30<<20 || dropped > 34<<20 {
		t.Errorf("%d bytes were dropped at once", dropped)
	}
	if _, err := b.run(t.Context(), b.commands, checkScript, ""); err != nil {
		t.Fatal(err)
	}
	if _, bytes := usage(t, client, defaultKey); bytes > limit*11/10 {
		t.Errorf("%d bytes are kept", bytes)
	}
}

// TestMemoryIsFull: a stream beyond its limit fills the memory of Redis, which
// refuses all writes. The stream is trimmed, by a publisher or else by a probe, and
// all is well again.
func TestMemoryIsFull(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--maxmemory-policy", "noeviction")
	client := server.Client()
	limit := func(o *Options) { o.MaxBytes = 1 << 20 }
	b := replica(t, server.URL, limit, func(o *Options) { o.timing.probe = time.Hour })
	third := regexp.MustCompile("cmdstat_evalsha:calls=[3-9]") // the first two are those of Start
	eventually(t, "the first probe is over", func() bool { return third.MatchString(server.Do("INFO", "commandstats")) })
	fill(t, server, defaultKey, 20_000, 1000)
	server.Do("CONFIG", "SET", "maxmemory", 16<<20)
	if _, err := client.Set(t.Context(), "x", "y", 0).Result(); err == nil {
		t.Fatal("the memory is not full")
	}
	eventually(t, "events can be published", func() bool {
		_, err := b.Publish(t.Context(), "a", "", []byte("x"))
		return err == nil
	})
	if _, bytes := usage(t, client, defaultKey); bytes > 11<<20/10 {
		t.Errorf("%d bytes are kept", bytes)
	}

	t.Run("without a publisher", func(t *testing.T) {
		server.Do("CONFIG", "SET", "maxmemory", 0)
		fill(t, server, defaultKey, 20_000, 1000)
		server.Do("CONFIG", "SET", "maxmemory", 16<<20)
		b := replica(t, server.URL, limit, quick)
		eventually(t, "it is trimmed", func() bool { _, bytes := usage(t, client, defaultKey); return bytes < 2<<20 })
		eventually(t, "it is well", func() bool { return b.Err() == nil })
	})
	t.Run("of something else", func(t *testing.T) {
		server.Do("CONFIG", "SET", "maxmemory", 1)
		if _, err := b.Publish(context.WithoutCancel(t.Context()), "a", "", nil); err == nil || !strings.Contains(err.Error(), "OOM") {
			t.Error(err)
		}
	})
}
