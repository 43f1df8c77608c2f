package main

import (
	"bytes"
	"math/bits"
	"time"
)

// events splits a text/event-stream into lines and reports, at each blank line,
// the sequence number and the time found in the event's data. Events without a
// sequence number (greetings, pings) are skipped.
type events struct {
	part []byte // unfinished line from the previous piece
	has  bool
	seq  int
	due  int64
}

func (e *events) feed(b []byte, emit func(seq int, due int64)) {
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			e.part = append(e.part, b...)
			return
		}
		line := b[:i]
		b = b[i+1:]
		if len(e.part) > 0 {
			e.part = append(e.part, line...)
			line = e.part
		}
		line = bytes.TrimSuffix(line, []byte("\r"))
		switch {
		case len(line) == 0:
			if e.has {
				e.has = false
				emit(e.seq, e.due)
			}
		case bytes.HasPrefix(line, []byte("data:")):
			if seq, ok := number(line, `"seq":`); ok {
				e.due, e.has = number(line, `"t":`)
				e.seq = int(seq)
			}
		}
		e.part = e.part[:0]
	}
}

func number(b []byte, key string) (n int64, ok bool) {
	i := bytes.Index(b, []byte(key))
	if i < 0 {
		return 0, false
	}
	for _, c := range b[i+len(key):] {
		if c < '0' || c > '9' {
			break
		}
		n, ok = n*10+int64(c-'0'), true
	}
	return n, ok
}

// histogram has 64 steps per power of two of nanoseconds, so that a quantile is
// within 1.6 % of the value measured.
type histogram struct {
	n       int64
	max     int64
	buckets [64 * 64]int64
}

func (h *histogram) add(v int64) {
	v = max(v, 0)
	h.n++
	h.max = max(h.max, v)
	if v < 64 {
		h.buckets[v]++
		return
	}
	shift := bits.Len64(uint64(v)) - 7
	h.buckets[(shift+1)*64+int(v>>shift)-64]++
}

func (h *histogram) quantile(q float64) time.Duration {
	want := int64(q * float64(h.n))
	for i, count := range h.buckets {
		if want -= count; count > 0 && want < 0 {
			if i < 64 {
				return time.Duration(i)
			}
			return time.Duration(min(int64(i%64+65)<<(i/64-1), h.max))
		}
	}
	return time.Duration(h.max)
}
