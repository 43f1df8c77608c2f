package pubsub

import (
	"fmt"
	"strings"
	"testing"
)

// check compares the log with a plain slice of what should be kept.
func check(t *testing.T, l *Log, want []entry) {
	t.Helper()
	if l.len() != len(want) {
		t.Fatalf("%d events, want %d", l.len(), len(want))
	}
	for i, e := range want {
		if got := l.at(l.first + uint64(i)); got.id != e.id {
			t.Fatalf("event %d is %v, want %v", i, got.id, e.id)
		}
	}
}

func TestLogKeepsTheNewest(t *testing.T) {
	for maxEvents := 1; maxEvents < 20; maxEvents++ {
		l := NewLog(maxEvents, ID{})
		var all []entry
		for i := range 50 {
			e := entry{ID{uint64(i), 7}, fmt.Appendf(nil, "%0*d", i, i)}
			all = append(all, e)
			l.Append(e.id, e.frame)
			check(t, l, all[max(len(all)-maxEvents, 0):])
		}
	}
}

// TestMemoryAccounts checks that what a broker counts is what it holds.
func TestMemoryAccounts(t *testing.T) {
	m := NewMemory(5, 20_000)
	for i := range 2000 {
		name := fmt.Sprint("c", i*i%37)
		if _, err := m.Publish(t.Context(), name, "", make([]byte, i*i%1500)); err != nil {
			t.Fatal(err)
		}
		s := m.Subscribe([]string{fmt.Sprint("c", i%41), "quiet"}, Start{})
		s.Close()
		s.Close() // twice is once
		all := m.channels
		bytes, kept := 0, 0
		for name, c := range all.byName {
			if c.len() == 0 {
				t.Fatalf("%s has neither events nor subscribers", name)
			}
			bytes += c.size()
			kept++
		}
		if bytes != all.bytes || bytes > all.maxBytes || kept != all.used.Len() || all.followed.Len() != 0 {
			t.Fatalf("%d channels of %d bytes, counted %d of %d, %d followed", kept, bytes, all.used.Len(), all.bytes, all.followed.Len())
		}
	}
}

// size is what a channel counts against the limit of all channels.
func (c *channel) size() (bytes int) {
	for n := c.first; n < c.end; n++ {
		bytes += entrySize + len(c.at(n).frame)
	}
	if bytes > 0 {
		bytes += channelSize + len(c.name)
	}
	return bytes
}

// TestFramesHaveNoSpareRoom: what counts against the limits is the encoded event, and it
// takes no more memory than that. A line of data without text becomes seven bytes.
func TestFramesHaveNoSpareRoom(t *testing.T) {
	for _, data := range []string{"", "x", strings.Repeat("\n", 64<<10), strings.Repeat("a\r\n", 20<<10), strings.Repeat("\r", 100), strings.Repeat("x", 64<<10)} {
		r := NewReplica(1, 0, 0, nil)
		if _, err := r.Append(ID{1763683200000, 7}, "a", "name", []byte(data)); err != nil {
			t.Fatal(err)
		}
		frame := r.byName["a"].at(0).frame
		if spare := cap(frame) - len(frame); spare > 0 {
			t.Errorf("%.10q…: %d bytes, and room for %d more", data, len(frame), spare)
		}
	}
	const limit = 4 << 20
	m := NewMemory(1000, limit)
	for range 20 {
		if _, err := m.Publish(t.Context(), "a", "", []byte(strings.Repeat("\n", 64<<10))); err != nil {
			t.Fatal(err)
		}
	}
	c := m.channels.byName["a"]
	if encoded := 7 * 64 << 10; c.len() != limit/encoded {
		t.Errorf("%d events of %d bytes are kept, the limit is %d", c.len(), encoded, limit)
	}
}
