package pubsub

import (
	"fmt"
	"testing"
)

// TestDropped: the last ids of dropped channels are known one by one, and a channel
// that never had an event has lost none.
func TestDropped(t *testing.T) {
	const limit = 500
	d := newDropped(limit)
	d.add("unused", ID{})
	if d.last("never") != (ID{}) || len(d.recent) != 0 {
		t.Errorf("nothing was dropped, but %v", d.recent)
	}
	name := func(i int) string { return fmt.Sprint("channel-", i) }
	for i := range 2 * limit {
		d.add(name(i), ID{uint64(i + 1), 0})
	}
	for i := range 2 * limit {
		if got := d.last(name(i)); got != (ID{uint64(i + 1), 0}) {
			t.Fatalf("%s has lost events up to %v", name(i), got)
		}
	}
	if got := d.last("never"); got != (ID{}) {
		t.Errorf("a channel that never had an event has lost some up to %v", got)
	}
	d.add("one more", ID{1 << 40, 0})
	if got := d.last("never"); got != (ID{limit, 0}) {
		t.Errorf("the first half is forgotten, so any other channel may have lost events up to its newest, not %v", got)
	}
	for i := range 2 * limit {
		if got := d.last(name(i)); got.Compare(ID{uint64(i + 1), 0}) < 0 {
			t.Fatalf("%s has lost events up to %d, and is said to have lost them up to %v", name(i), i+1, got)
		}
	}
	if n := len(d.recent) + len(d.older); n > 2*limit {
		t.Errorf("%d are known", n)
	}
}

// TestDroppedAgain: a channel that was used again, and dropped again, has lost what it
// had last.
func TestDroppedAgain(t *testing.T) {
	d := newDropped(2)
	d.add("a", ID{2, 0})
	d.add("a", ID{3, 0})
	d.addAll(ID{1, 0})
	if d.last("a") != (ID{3, 0}) || d.last("b") != (ID{1, 0}) {
		t.Error(d.last("a"), d.last("b"))
	}
	d.addAll(ID{5, 0})
	d.addAll(ID{4, 0})
	if d.last("a") != (ID{5, 0}) || d.last("b") != (ID{5, 0}) {
		t.Error("after a loss in all channels:", d.last("a"), d.last("b"))
	}
}
