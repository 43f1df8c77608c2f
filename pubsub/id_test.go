package pubsub

import (
	"math"
	"testing"
	"testing/synctest"
	"time"
)

func TestParseID(t *testing.T) {
	for _, id := range []ID{{}, {0, 1}, {1763683200000, 0}, {math.MaxUint64, math.MaxUint64}} {
		if got, ok := ParseID(id.String()); !ok || got != id {
			t.Errorf("%s: %v, %v", id, got, ok)
		}
	}
	for _, s := range []string{"", "-", "1", "1-", "-1", "1-2-3", "01-2", "1-02", "+1-2", "1- 2", "1-x", "18446744073709551616-0", "1.0-0"} {
		if id, ok := ParseID(s); ok {
			t.Errorf("%q passes for %v", s, id)
		}
	}
}

func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Clock
		now := uint64(time.Now().UnixMilli())
		steps := []ID{{now, 0}, {now, 1}, {now, 2}}
		for _, want := range steps {
			if got := c.Next(); got != want {
				t.Errorf("%v, want %v", got, want)
			}
		}
		<-time.After(time.Millisecond)
		if got, want := c.Next(), (ID{now + 1, 0}); got != want {
			t.Errorf("a millisecond later: %v, want %v", got, want)
		}
		c.last[0] += uint64(time.Hour / time.Millisecond) // the system's clock was set back
		before := c.last
		if got := c.Next(); got.Compare(before) <= 0 {
			t.Errorf("%v after %v", got, before)
		}
	})
}
