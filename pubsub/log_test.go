package pubsub

import (
	"fmt"
	"strings"
	"testing"
)

// check compares the log with a plain slice of what should be kept.
func check(t *testing.T, l *Log, want []Entry) {
	t.Helper()
	if l.len() != len(want) {
		t.Fatalf("%d events, want %d", l.len(), len(want))
	}
	bytes := 0
	for i, e := range want {
		if got := l.at(l.first + uint64(i)); got.ID != e.ID {
			t.Fatalf("event %d is %v, want %v", i, got.ID, e.ID)
		}
		bytes += entrySize + len(e.Frame)
	}
	if l.bytes != bytes {
		t.Fatalf("counts %d bytes, has %d", l.bytes, bytes)
	}
}

func TestLogKeepsTheNewest(t *testing.T) {
	for maxEvents := 1; maxEvents < 20; maxEvents++ {
		l := NewLog(maxEvents, 0, ID{})
		var all []Entry
		for i := range 50 {
			e := Entry{ID{uint64(i), 7}, fmt.Appendf(nil, "%0*d", i, i)}
			all = append(all, e)
			l.Append(e.ID, e.Frame)
			check(t, l, all[max(len(all)-maxEvents, 0):])
		}
	}
}

func TestLogKeepsBytes(t *testing.T) {
	const maxBytes = 10 * (entrySize + 10)
	l := NewLog(100, maxBytes, ID{})
	for i := range 20 {
		l.Append(ID{uint64(i)}, make([]byte, 10))
	}
	if l.len() != 10 {
		t.Errorf("%d events, want the 10 that fit", l.len())
	}
	l.Append(ID{20}, make([]byte, 2*maxBytes))
	if l.len() != 1 || l.lastID() != (ID{20}) {
		t.Errorf("%d events up to %v, want the newest alone", l.len(), l.lastID())
	}
}

// TestSubscribeAfter uses ids that do not rise, as those of a file's lines.
func TestSubscribeAfter(t *testing.T) {
	l := NewLog(3, 0, ID{50, 50})
	found := func(id ID) int {
		s, ok := l.SubscribeAfter(id)
		if !ok {
			return -1
		}
		defer s.Close()
		entries, ok := s.Read(nil)
		if !ok {
			t.Errorf("%v: events are lost right away", id)
		}
		return len(entries)
	}
	if n := found(ID{50, 50}); n != 0 {
		t.Errorf("the position before the first: %d", n)
	}
	for _, id := range []ID{{9, 1}, {3, 1}, {7, 1}} {
		l.Append(id, nil)
	}
	for id, want := range map[ID]int{{50, 50}: 3, {9, 1}: 2, {3, 1}: 1, {7, 1}: 0, {8, 1}: -1} {
		if n := found(id); n != want {
			t.Errorf("after %v: %d events, want %d", id, n, want)
		}
	}
	l.Append(ID{1, 1}, nil)
	for id, want := range map[ID]int{{50, 50}: -1, {9, 1}: 3, {1, 1}: 0} {
		if n := found(id); n != want {
			t.Errorf("after %v and one more: %d events, want %d", id, n, want)
		}
	}
	if len(l.subs) != 0 {
		t.Errorf("%d subscribers are left", len(l.subs))
	}
}

func TestReadStaysIfEventsAreLost(t *testing.T) {
	l := NewLog(2, 0, ID{})
	s := l.Subscribe(Start{})
	defer s.Close()
	for i := range 3 {
		l.Append(ID{uint64(i + 1)}, nil)
	}
	for range 2 {
		if entries, ok := s.Read(nil); ok || len(entries) > 0 {
			t.Errorf("%v, %v", entries, ok)
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
		all := &m.channels
		bytes, kept := 0, 0
		for name, c := range all.byName {
			if c.len() == 0 {
				t.Fatalf("%s has neither events nor subscribers", name)
			}
			bytes += c.size()
			kept++
		}
		if bytes != all.history.bytes || bytes > all.history.maxBytes || kept != all.history.channels.Len() || all.followed.Len() != 0 {
			t.Fatalf("%d channels of %d bytes, counted %d of %d, %d followed", kept, bytes, all.history.channels.Len(), all.history.bytes, all.followed.Len())
		}
	}
}

// TestFramesHaveNoSpareRoom: what counts against the limits is the encoded event, and it
// takes no more memory than that. A line of data without text becomes seven bytes.
func TestFramesHaveNoSpareRoom(t *testing.T) {
	for _, data := range []string{"", "x", strings.Repeat("\n", 64<<10), strings.Repeat("a\r\n", 20<<10), strings.Repeat("\r", 100), strings.Repeat("x", 64<<10)} {
		frame, err := encode(ID{1763683200000, 7}, "name", []byte(data))
		if err != nil {
			t.Fatal(err)
		}
		if spare := cap(frame) - len(frame); spare > strings.Count(data, "\r\n")+16 {
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
