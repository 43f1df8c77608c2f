package redisbroker

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/pubsub/redistest"
)

// payload is 100 bytes of JSON.
var payload = []byte(`{"text":"` + strings.Repeat("x", 89) + `"}`)

// BenchmarkReplicaLatency is the time from before a publish on one replica to the
// event's arrival at a subscriber of another.
func BenchmarkReplicaLatency(b *testing.B) {
	server := redistest.Start(b)
	here, there := replica(b, server.URL), replica(b, server.URL)
	s := subscribe(b, there, "a", pubsub.Start{})
	woken := wakes(s)
	var took []time.Duration
	var frames [][]byte
	for b.Loop() {
		began := time.Now()
		go func() { _, _ = here.Publish(b.Context(), "a", "", payload) }()
		for frames, _ = s.Next(frames[:0]); len(frames) == 0; frames, _ = s.Next(frames[:0]) {
			<-woken
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkReplicaPublish is publishing by 64 at once.
func BenchmarkReplicaPublish(b *testing.B) {
	r := replica(b, redistest.Start(b).URL)
	b.SetParallelism(64 / runtime.GOMAXPROCS(0))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := r.Publish(b.Context(), "a", "", payload); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkReplicaIngest is how fast a replica takes in what the stream has, and
// what its mirror of it weighs.
func BenchmarkReplicaIngest(b *testing.B) {
	const maxEvents = 100_000
	server := redistest.Start(b)
	fill(b, server, defaultKey, maxEvents, len(payload))
	heap := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	before := heap()
	var weight float64
	for b.Loop() {
		r, err := New(options(server.URL))
		if err == nil {
			err = r.Start(b.Context())
		}
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		weight = heap() - before
		s := r.Subscribe([]string{"channel-7"}, pubsub.Start{Replay: 1000})
		if n := len(next(b, s)); n == 0 {
			b.Fatal("nothing was loaded")
		}
		s.Close()
		r.Close()
		b.StartTimer()
	}
	b.ReportMetric(maxEvents*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(weight/maxEvents, "bytes/event")
}

// BenchmarkRedisFanOut is what an event costs Redis when 50 replicas wait for it:
// each gets its own answer.
func BenchmarkRedisFanOut(b *testing.B) {
	const readers = 50
	server := redistest.Start(b)
	fill(b, server, defaultKey, 1, len(payload))
	ctx, cancel := context.WithCancel(b.Context())
	var reading sync.WaitGroup
	var read atomic.Int64
	for range readers {
		client := server.Client()
		reading.Go(func() {
			for last := "0-0"; ctx.Err() == nil; {
				streams, err := client.XRead(ctx, &redis.XReadArgs{Streams: []string{defaultKey, last}, Count: 1000, Block: 100 * time.Millisecond}).Result()
				if err != nil || len(streams) == 0 {
					continue
				}
				entries := streams[0].Messages
				last = entries[len(entries)-1].ID
				read.Add(int64(len(entries)))
			}
		})
	}
	for read.Load() < readers {
		runtime.Gosched()
	}
	before := cpu(b, server)
	n := 0
	for b.Loop() {
		n++
		fill(b, server, defaultKey, 1, len(payload))
		for read.Load() < int64(readers*(n+1)) {
			runtime.Gosched()
		}
	}
	b.ReportMetric(float64((cpu(b, server)-before).Nanoseconds())/float64(n*readers)/1000, "redis-µs/answer")
	cancel()
	reading.Wait()
}
