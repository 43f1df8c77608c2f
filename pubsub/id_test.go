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

func TestNextID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := uint64(time.Now().UnixMilli())
		var id ID
		for _, want := range []ID{{now, 0}, {now, 1}, {now, 2}} {
			if id = id.Next(); id != want {
				t.Errorf("%v, want %v", id, want)
			}
		}
		<-time.After(time.Millisecond)
		if got, want := id.Next(), (ID{now + 1, 0}); got != want {
			t.Errorf("a millisecond later: %v, want %v", got, want)
		}
		ahead := ID{now + 3_600_000, 4} // the system's clock was set back
		if got, want := ahead.Next(), (ID{now + 3_600_000, 5}); got != want {
			t.Errorf("%v, want %v", got, want)
		}
	})
}
