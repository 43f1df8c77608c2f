package pubsub_test

import (
	"fmt"
	"strings"
	"testing"

	"example.com/sse-demo/pubsub"
)

// BenchmarkPublish is publishing while one of the subscribers reads, so that all
// have to be notified of each event.
func BenchmarkPublish(b *testing.B) {
	for _, subscribers := range []int{0, 1000, 10000} {
		b.Run(fmt.Sprint(subscribers), func(b *testing.B) {
			m := pubsub.NewMemory(1024, 64<<20)
			all := make([]pubsub.Subscription, subscribers)
			for i := range all {
				all[i] = m.Subscribe([]string{"a"}, pubsub.Start{})
				defer all[i].Close()
			}
			var frames [][]byte
			data := []byte(strings.Repeat("x", 100))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Publish(b.Context(), "a", "", data); err != nil {
					b.Fatal(err)
				}
				for _, s := range all[:min(subscribers, 1)] {
					frames, _ = s.Next(frames[:0])
				}
			}
		})
	}
}

// BenchmarkNext is what a delivery costs before the socket.
func BenchmarkNext(b *testing.B) {
	m := pubsub.NewMemory(1024, 64<<20)
	s := m.Subscribe([]string{"a"}, pubsub.Start{})
	defer s.Close()
	var frames [][]byte
	data := []byte(strings.Repeat("x", 100))
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		for range 100 {
			_, _ = m.Publish(b.Context(), "a", "", data)
		}
		b.StartTimer()
		frames, _ = s.Next(frames[:0])
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(100*b.N), "ns/event")
}

// BenchmarkSubscribe is how long a client that joins with a replay holds the lock,
// for which publishers wait: it looks up where the replay begins, and copies
// nothing.
func BenchmarkSubscribe(b *testing.B) {
	const kept = 1024
	for _, channels := range []int{1, 32} {
		for _, replay := range []int{0, 1000} {
			b.Run(fmt.Sprint(channels, " channels/replay ", replay), func(b *testing.B) {
				m := pubsub.NewMemory(kept, 64<<20)
				names := make([]string, channels)
				for n := range kept * channels {
					names[n%channels] = fmt.Sprint("channel-", n%channels)
					publish(b, m, names[n%channels], "x")
				}
				for b.Loop() {
					m.Subscribe(names, pubsub.Start{Replay: replay}).Close()
				}
			})
		}
	}
}

// BenchmarkReplay is a client that comes back and has missed 1,000 events.
func BenchmarkReplay(b *testing.B) {
	m := pubsub.NewMemory(1024, 64<<20)
	first := publish(b, m, "a", "x")
	for range 1000 {
		publish(b, m, "a", strings.Repeat("x", 100))
	}
	var frames [][]byte
	b.ReportAllocs()
	for b.Loop() {
		s := m.Subscribe([]string{"a"}, pubsub.Start{After: first})
		n := 0
		for frames, _ = s.Next(frames[:0]); len(frames) > 0; frames, _ = s.Next(frames[:0]) {
			n += len(frames)
		}
		if n != 1000 {
			b.Fatal(n)
		}
		s.Close()
	}
}
