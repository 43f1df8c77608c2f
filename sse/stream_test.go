package sse_test

import (
	"testing"
	"time"

	"example.com/sse-demo/sse"
)

// TestJitter: delays are spread over the base ± 50 %.
func TestJitter(t *testing.T) {
	const base = time.Second
	low, high := time.Hour, time.Duration(0)
	for range 1000 {
		d := sse.Jitter(base)
		low, high = min(low, d), max(high, d)
	}
	if low < base/2 || low > base*6/10 || high > base*3/2 || high < base*14/10 {
		t.Errorf("from %v to %v", low, high)
	}
	if d := sse.Jitter(0); d != 0 {
		t.Errorf("%v", d)
	}
}
