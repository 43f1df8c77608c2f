package pubsub_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/sse-demo/pubsub"
)

type subscriber interface {
	Subscribe(channels []string, start pubsub.Start) pubsub.Subscription
}

// resume is what a client sees first that comes back after an id.
func resume(t *testing.T, b subscriber, after string, channels ...string) []string {
	t.Helper()
	s := b.Subscribe(channels, pubsub.Start{After: after})
	defer s.Close()
	return next(t, s)
}

// TestSetOfChannelsChanges: an id is a position in one order over all channels, so
// any set of them goes on after it.
func TestSetOfChannelsChanges(t *testing.T) {
	m := pubsub.NewMemory(100, plenty)
	names := []string{"a", "b", "c", "d"}
	var ids []string
	for i := range 40 {
		ids = append(ids, publish(t, m, names[rand.IntN(3)], fmt.Sprint(i))) // d is never used
	}
	everything := m.Subscribe(names, pubsub.Start{Replay: 40})
	defer everything.Close()
	if n := len(next(t, everything)); n != 40 {
		t.Fatal(n)
	}
	for i, id := range ids {
		set := slices.Clone(names)
		rand.Shuffle(4, func(i, j int) { set[i], set[j] = set[j], set[i] })
		set = set[:1+rand.IntN(4)]
		rest := m.Subscribe(set, pubsub.Start{Replay: 100})
		var want []string
		for _, data := range next(t, rest) {
			var n int
			if _, err := fmt.Sscan(data, &n); err == nil && n > i {
				want = append(want, data)
			}
		}
		rest.Close()
		expect(t, fmt.Sprint("after ", i, " in ", set), resume(t, m, id, set...), want...)
	}
}

// TestLossInOneChannel repeats nothing of another, and is no gap for its clients.
func TestLossInOneChannel(t *testing.T) {
	m := pubsub.NewMemory(3, plenty)
	quiet := []string{publish(t, m, "quiet", "q1"), publish(t, m, "quiet", "q2")}
	live := m.Subscribe([]string{"quiet", "busy"}, pubsub.Start{After: quiet[0]})
	defer live.Close()
	expect(t, "live", next(t, live), "q2")
	var busy []string
	for i := range 5 {
		busy = append(busy, publish(t, m, "busy", fmt.Sprint(i)))
	}
	expect(t, "a slow subscriber", next(t, live), gap(quiet[1], busy[2]), "2", "3", "4")
	expect(t, "a returning client", resume(t, m, quiet[1], "quiet", "busy"), gap(quiet[1], busy[2]), "2", "3", "4")
	expect(t, "one that has less", resume(t, m, quiet[0], "quiet", "busy"), gap(quiet[0], quiet[1]), "q2", "2", "3", "4")
	expect(t, "the other channel alone", resume(t, m, quiet[0], "quiet"), "q2")
	expect(t, "a channel that was never used", resume(t, m, quiet[0], "never"))
}

// TestDroppedChannel: a channel that was dropped as a whole is a gap for its
// clients, in any combination, and for no others.
func TestDroppedChannel(t *testing.T) {
	m := pubsub.NewMemory(100, 16_000)
	kept := publish(t, m, "kept", "1")
	dropped := publish(t, m, "dropped", "2")
	m.Subscribe([]string{"kept"}, pubsub.Start{}).Close() // uses it
	publish(t, m, "large", strings.Repeat("x", 14_500))
	expect(t, "it was dropped", resume(t, m, kept, "dropped"), gap(kept, "null"))
	expect(t, "in a combination", resume(t, m, kept, "kept", "dropped"), gap(kept, "null"))
	expect(t, "a client that has its last event", resume(t, m, dropped, "kept", "dropped"))
	expect(t, "a kept channel", resume(t, m, kept, "kept"))
	expect(t, "a channel that was never used", resume(t, m, kept, "never"))
	again := publish(t, m, "dropped", "3")
	expect(t, "used again", resume(t, m, kept, "dropped"), gap(kept, again), "3")
	expect(t, "used again, and nothing lost", resume(t, m, dropped, "dropped"), "3")
}

func TestPosition(t *testing.T) {
	m := pubsub.NewMemory(3, plenty)
	begin := m.Subscribe([]string{"a"}, pubsub.Start{Replay: 3})
	defer begin.Close()
	var ids []string
	for i := range 5 {
		ids = append(ids, publish(t, m, "a", fmt.Sprint(i)))
	}
	newest := publish(t, m, "b", "b")
	expect(t, "from the very beginning", resume(t, m, begin.Position(), "a"), gap(begin.Position(), ids[2]), "2", "3", "4")
	previous := func(text string) string {
		id, _ := pubsub.ParseID(text)
		if id[1]--; id[1] == math.MaxUint64 { // it was 0
			id[0]--
		}
		return id.String()
	}
	for _, tt := range []struct {
		name  string
		start pubsub.Start
		want  string
	}{
		{"events to come", pubsub.Start{}, newest},
		{"replay", pubsub.Start{Replay: 2}, previous(ids[3])},
		{"replay of all", pubsub.Start{Replay: 100}, previous(ids[2])},
		{"resume", pubsub.Start{After: ids[3]}, ids[3]},
		{"resume with a gap", pubsub.Start{After: ids[0]}, previous(ids[2])},
		{"no id", pubsub.Start{After: "rubbish"}, previous(ids[2])},
	} {
		s := m.Subscribe([]string{"a"}, tt.start)
		if got := s.Position(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		seen := next(t, s)
		if len(seen) > 0 && strings.HasPrefix(seen[0], "gap") {
			seen = seen[1:]
		}
		if tt.start.Replay+len(tt.start.After) > 0 {
			expect(t, tt.name+": a client that is cut off before its first event", resume(t, m, tt.want, "a"), seen...)
		}
		s.Close()
	}
	s := m.Subscribe([]string{"never"}, pubsub.Start{After: "rubbish"})
	defer s.Close()
	if got := s.Position(); got != newest {
		t.Errorf("a gap that nothing follows: %s, want the newest id %s", got, newest)
	}
}

// TestEdgesOfTheOrder: what is before the broker, or later than now, is a gap.
func TestEdgesOfTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := pubsub.NewMemory(10, plenty)
		start := uint64(time.Now().UnixMilli())
		<-time.After(time.Second)
		publish(t, m, "a", "1")
		now := uint64(time.Now().UnixMilli())
		for id, hasGap := range map[pubsub.ID]bool{
			{start, 0}: false, {start - 1, 1 << 60}: true, {now, 7}: false, {now + 1, 0}: true, {}: true,
		} {
			seen := resume(t, m, id.String(), "a")
			if got := len(seen) > 0 && strings.HasPrefix(seen[0], "gap"); got != hasGap {
				t.Errorf("%v, now is %d: %q", id, now, seen)
			}
		}
		replica := pubsub.NewReplica(10, plenty, time.Minute, nil)
		replica.LoseBefore(pubsub.ID{start, 1})
		minute := uint64(time.Minute.Milliseconds())
		for ms, hasGap := range map[uint64]bool{now + minute: false, now + minute + 1: true, start - 1: true} {
			if seen := resume(t, replica, pubsub.ID{ms, 3}.String(), "a"); len(seen) == 1 != hasGap {
				t.Errorf("%d on a replica, now is %d: %q", ms, now, seen)
			}
		}
	})
}

func appendTo(t *testing.T, m *pubsub.Replica, id pubsub.ID, channel string) {
	t.Helper()
	if _, err := m.Append(id, channel, "", []byte(fmt.Sprint(channel, id[1]))); err != nil {
		t.Fatal(err)
	}
}

// TestReplicaIsBehind: a client comes with an id that this replica has yet to
// reach. It neither waits nor sees anything twice.
func TestReplicaIsBehind(t *testing.T) {
	now := uint64(time.Now().UnixMilli())
	m := pubsub.NewReplica(3, plenty, time.Minute, nil)
	m.LoseBefore(pubsub.ID{now, 1})
	appendTo(t, m, pubsub.ID{now, 1}, "a")
	one, both := m.Subscribe([]string{"a"}, pubsub.Start{After: pubsub.ID{now, 7}.String()}), m.Subscribe([]string{"a", "b"}, pubsub.Start{After: pubsub.ID{now, 7}.String()})
	defer one.Close()
	defer both.Close()
	for n := uint64(2); n < 8; n++ { // more than is kept, and yet nothing is lost to these clients
		appendTo(t, m, pubsub.ID{now, n}, "a")
	}
	m.LoseBefore(pubsub.ID{now, 8})
	expect(t, "what they have", next(t, one))
	expect(t, "what they have", next(t, both))
	appendTo(t, m, pubsub.ID{now, 8}, "b")
	appendTo(t, m, pubsub.ID{now, 9}, "a")
	expect(t, "what is new", next(t, one), "a9")
	expect(t, "what is new", next(t, both), "b8", "a9")
}

// TestHole: events are missing between those that are kept.
func TestHole(t *testing.T) {
	now := uint64(time.Now().UnixMilli())
	m := pubsub.NewReplica(10, plenty, time.Minute, nil)
	m.LoseBefore(pubsub.ID{now, 1})
	id := func(n uint64) string { return pubsub.ID{now, n}.String() }
	appendTo(t, m, pubsub.ID{now, 1}, "a")
	live, quiet := m.Subscribe([]string{"a"}, pubsub.Start{}), m.Subscribe([]string{"b"}, pubsub.Start{After: id(1)})
	defer live.Close()
	defer quiet.Close()
	appendTo(t, m, pubsub.ID{now, 2}, "a")
	m.LoseBefore(pubsub.ID{now, 6})
	appendTo(t, m, pubsub.ID{now, 6}, "a")
	expect(t, "live", next(t, live), gap(id(1), id(2)), "a2", "a6")
	expect(t, "a channel that may have had events", next(t, quiet), gap(id(1), "null"))
	expect(t, "once", next(t, quiet))
	expect(t, "what is kept before the hole", resume(t, m, id(1), "a"), gap(id(1), id(2)), "a2", "a6")
	expect(t, "right before it", resume(t, m, id(4), "a"), gap(id(4), id(6)), "a6")
	expect(t, "after it", resume(t, m, id(5), "a"), "a6")
	expect(t, "another channel", resume(t, m, id(5), "new"))
	expect(t, "another channel, before it", resume(t, m, id(4), "new"), gap(id(4), "null"))
}

// TestManyDroppedChannels: what was never there was not dropped, however many other
// channels were; and each of those is still a gap.
func TestManyDroppedChannels(t *testing.T) {
	m := pubsub.NewMemory(10, 1<<20)
	first := publish(t, m, "first", "x")
	const users = 50_000
	for i := range users {
		publish(t, m, fmt.Sprint("user-", i), "hello")
	}
	expect(t, "a channel that was never used", resume(t, m, first, "never"))
	expect(t, "a channel that was never used, again", resume(t, m, first, "never"))
	expect(t, "a client that has the only event of a dropped channel", resume(t, m, first, "first"))
	for i := range users / 2 {
		name := fmt.Sprint("user-", i)
		if seen := resume(t, m, first, name); len(seen) == 0 || seen[0] != gap(first, "null") {
			t.Fatalf("%s was dropped: %q", name, seen)
		}
	}
}
