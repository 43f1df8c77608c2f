package routes_test

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"example.com/sse-demo/routes/market"
	"example.com/sse-demo/sse/ssetest"
)

func tickOf(t *testing.T, e ssetest.Event) (tick market.Tick) {
	t.Helper()
	if err := json.Unmarshal([]byte(e.Data), &tick); err != nil || e.Name != "tick" {
		t.Fatalf("%+v: %v", e, err)
	}
	return tick
}

func TestTick(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		s, twin := h.stream("/stream/tick?symbol=eth&interval=500"), h.stream("/stream/tick?interval=500&symbol=ETH")
		defer s.close()
		defer twin.close()
		began := time.Now()
		var before market.Tick
		for i := range 7 { // three seconds, which take no time
			e := s.next()
			tick := tickOf(t, e)
			if due := time.Duration(i) * 500 * time.Millisecond; time.Since(began) != due {
				t.Errorf("tick %d comes after %v, want %v", i, time.Since(began), due)
			}
			now := time.Now().UnixMilli()
			if tick.Symbol != "ETH" || tick.Price <= 0 || tick.Timestamp != now || e.ID != fmt.Sprint(now/500) {
				t.Errorf("%s %+v", e.ID, tick)
			}
			if delta := tick.Price - before.Price; i > 0 && math.Abs(tick.Delta-delta) > 1e-6 {
				t.Errorf("delta %v after %v and %v", tick.Delta, before.Price, tick.Price)
			}
			if other := twin.next(); other != e {
				t.Errorf("two clients see two markets: %+v, %+v", e, other)
			}
			before = tick
		}
		if len(s.Faults) > 0 || s.Retry() < 1500*time.Millisecond || s.Retry() > 4500*time.Millisecond {
			t.Errorf("%q, retry %v", s.Faults, s.Retry())
		}
	})
}

func TestTickResume(t *testing.T) {
	const now int64 = 946684800000 / 100 // the ticks since 1970 when a bubble begins, in 2000
	for _, tt := range []struct {
		after string
		gap   bool
		first int64
	}{
		{fmt.Sprint(now - 3), false, now - 2},
		{fmt.Sprint(now - 100), false, now - 99},
		{fmt.Sprint(now - 101), true, now - 99},
		{fmt.Sprint(now), false, now + 1},
		{fmt.Sprint(now + 1), false, now + 2}, // of a replica whose clock is ahead
		{fmt.Sprint(now + 2), true, now - 99},
		{"0", true, now - 99},
		{"-1", true, now - 99},
		{"rubbish", true, now - 99},
		{fmt.Sprint("0", now), true, now - 99},
		{"99999999999999999999", true, now - 99},
	} {
		bubble(t, options(), func(h *harness) {
			s := h.stream("/stream/tick?interval=100", "Last-Event-ID: "+tt.after)
			defer s.close()
			if tt.gap {
				s.expect(fmt.Sprintf(`gap {"after":%q,"oldest":"%d"}`, tt.after, now-99))
				if s.LastEventID() != "" {
					t.Error("a gap has an id")
				}
			}
			for n := tt.first; n <= now+3; n++ {
				e := s.next()
				if e.ID != fmt.Sprint(n) || tickOf(t, e).Timestamp != n*100 {
					t.Fatalf("after %s: %+v, want tick %d", tt.after, e, n)
				}
				if time.Now().UnixMilli() != max(n, now)*100 {
					t.Errorf("after %s: tick %d comes at %d", tt.after, n, time.Now().UnixMilli())
				}
			}
		})
	}
}
