package sse_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"testing"

	"example.com/sse-demo/sse"
)

// BenchmarkGzipStream compresses 100 events and flushes each, as a service that
// compresses its streams would. B/op is the memory that an open stream takes for it;
// gzip/plain is the size, compared with the uncompressed one.
func BenchmarkGzipStream(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, stream := range []struct {
		name string
		rows int // of an event
	}{{"one price in each event", 1}, {"50 prices in each event", 50}} {
		b.Run(stream.name, func(b *testing.B) {
			var frames [][]byte
			plain := 0
			for i := range 100 {
				var data []byte
				for row := range stream.rows {
					data = fmt.Appendf(data, `{"symbol":"S%d","price":%.2f,"delta":%.2f},`, row, 2500+100*random.Float64(), random.Float64())
				}
				frames = append(frames, sse.MustFrame(sse.Event{ID: fmt.Sprint(3590576554 + int64(i)), Data: data}))
				plain += len(frames[i])
			}
			compressed := bytes.NewBuffer(make([]byte, 0, 2*plain))
			b.ReportAllocs()
			for b.Loop() {
				compressed.Reset()
				w := gzip.NewWriter(compressed)
				for _, frame := range frames {
					_, err := w.Write(frame)
					if err == nil {
						err = w.Flush()
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(compressed.Len())/float64(plain), "gzip/plain")
		})
	}
}
