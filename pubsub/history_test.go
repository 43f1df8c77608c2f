package pubsub

import (
	"fmt"
	"testing"
)

// TestDroppedIsBounded: names of dropped channels are remembered up to a number of
// bytes, the newest ones exactly; any other may have lost what the newest of the
// forgotten ones had.
func TestDroppedIsBounded(t *testing.T) {
	const fit = 10
	name := func(i int) string { return fmt.Sprintf("channel-%03d", i) }
	d := newDropped(fit * (droppedSize + len(name(0))))
	for i := range fit {
		d.add(name(i), ID{uint64(i + 1), 0})
	}
	if d.bytes != d.maxBytes || d.take("never") != (ID{}) {
		t.Errorf("%d of %d bytes; a channel that was never used has lost %v", d.bytes, d.maxBytes, d.take("never"))
	}
	d.add(name(fit), ID{fit + 1, 0})
	if got := d.take("never"); got != (ID{1, 0}) || d.take(name(0)) != got {
		t.Errorf("one too many: any other may have lost %v", got)
	}
	for i := 1; i <= fit; i++ {
		if got := d.take(name(i)); got != (ID{uint64(i + 1), 0}) {
			t.Errorf("%s has lost %v", name(i), got)
		}
	}
	if d.bytes != 0 || d.names.Len() != 0 || len(d.byName) != 0 {
		t.Errorf("all were taken, and %d bytes are left", d.bytes)
	}
	d.add("old", ID{1, 0})
	if d.bytes != 0 {
		t.Error("what any channel may have lost is not remembered again")
	}
}
