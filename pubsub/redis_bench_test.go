package pubsub_test

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
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
	var took []time.Duration
	var frames [][]byte
	for b.Loop() {
		began := time.Now()
		go func() { _, _ = here.Publish(b.Context(), "a", "", payload) }()
		for frames, _ = s.Next(frames[:0]); len(frames) == 0; frames, _ = s.Next(frames[:0]) {
			<-s.Ready()
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

// fill puts n events into the stream, over 100 channels.
func fill(b *testing.B, server *redistest.Server, n int) {
	b.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr, Password: redistest.Password})
	defer func() { _ = client.Close() }()
	for n > 0 {
		pipe := client.Pipeline()
		for i := range min(n, 1000) {
			values := []any{"c", fmt.Sprint("channel-", i%100), "n", "", "d", payload}
			pipe.XAdd(b.Context(), &redis.XAddArgs{Stream: pubsub.StreamKey, Values: values})
		}
		if _, err := pipe.Exec(b.Context()); err != nil {
			b.Fatal(err)
		}
		n -= 1000
	}
}

// BenchmarkReplicaIngest is how fast a replica takes in what the stream has, and
// what its mirror of it weighs.
func BenchmarkReplicaIngest(b *testing.B) {
	server := redistest.Start(b)
	fill(b, server, pubsub.StreamEvents)
	heap := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	before := heap()
	var weight float64
	for b.Loop() {
		r := replica(b, server.URL)
		b.StopTimer()
		weight = heap() - before
		if n := len(next(b, subscribe(b, r, "channel-7", pubsub.Start{Replay: math.MaxInt32}))); n == 0 {
			b.Fatal("nothing was loaded")
		}
		r.Close()
		b.StartTimer()
	}
	b.ReportMetric(pubsub.StreamEvents*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(weight/pubsub.StreamEvents, "bytes/event")
}
