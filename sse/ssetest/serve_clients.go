package ssetest

import (
	"io"
	"net/http"
	"time"

	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/internal/stream"
)

// testStall: a client that takes no bytes is cut off after its patience, and an
// eighth of it at the most.
func testStall(s *exchange) {
	s.options.WriteTimeout = 8 * time.Second
	s.client.Transport.(*http.Transport).ReadBufferSize = 1
	s.source.Batch = 1000
	s.source.Add(1)
	s.open()
	s.reads(1)
	<-time.After(time.Minute)
	began := time.Now()
	s.source.Add(200_000) // more than the window of HTTP/2 takes
	o := s.outcome(sse.ClientStalled, some)
	slow := stream.Stream{WriteTimeout: s.options.WriteTimeout}
	slow.AddBacklog(o.Bytes, began)
	most := slow.Patience(began) * 9 / 8
	if took := time.Since(began); took < s.options.WriteTimeout || took > most {
		s.Errorf("cut off after %v", took)
	}
}

// testStop: a client that was sent much, and stops when there was time to read it, is
// cut off after the write timeout, and an eighth of it at the most. The batch, which it
// has taken in part, is not counted as sent.
func testStop(s *exchange) {
	s.options.WriteTimeout = 8 * time.Second
	s.source.Batch = 400_000 // more than the window of HTTP/2 takes
	s.open()
	s.source.Add(s.source.Batch)
	p := make([]byte, 10_000)
	for range 2 * sse.MaxPatience * 8 {
		<-time.After(time.Second)
		if _, err := io.ReadFull(s.body, p); err != nil {
			s.Fatalf("%v, %+v", err, <-s.outcomes)
		}
	}
	stopped := time.Now()
	s.outcome(sse.ClientStalled, 0)
	if took := time.Since(stopped); took > s.options.WriteTimeout*9/8+time.Second {
		s.Errorf("cut off %v after its last read", took)
	}
}

// testSlow: a client that takes a few bytes now and then is not cut off, although
// it needs longer than the write timeout for what one step writes.
func testSlow(s *exchange) {
	s.options.WriteTimeout = 4 * time.Second
	s.source.Add(20).End()
	s.open()
	s.takes(10, time.Second)
	s.outcome(sse.SourceDone, 20)
}

// testBursts: a client that takes much at once and then nothing until it has read
// it is not cut off, although it takes no bytes for longer than the write timeout.
func testBursts(s *exchange) {
	const events, burst = 100_000, 512 << 10 // eight seconds of a client that reads 64 KiB a second
	s.options.WriteTimeout = time.Second
	s.source.Batch = 1000
	s.source.Add(events).End()
	s.open()
	s.takes(burst, 6*time.Second)
	s.outcome(sse.SourceDone, events)
}

// takes reads some bytes, and pauses, until the stream has ended.
func (s *exchange) takes(bytes int, pause time.Duration) {
	for p := make([]byte, bytes); ; <-time.After(pause) {
		if _, err := io.ReadFull(s.body, p); err != nil {
			return
		}
	}
}
