package pubsub_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

const plenty = 1 << 20

// patience is how long a test waits for what should come soon.
const patience = 20 * time.Second

func publish(t testing.TB, b pubsub.Broker, channel, data string) string {
	t.Helper()
	r, err := b.Publish(t.Context(), channel, "", []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return r.ID.String()
}

// next reads one batch and returns it as a client sees it: the data of each
// event, or "gap AFTER OLDEST".
func next(t testing.TB, s pubsub.Subscription) (seen []string) {
	t.Helper()
	frames, err := s.Next(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, frame := range frames {
		data := string(sse.FrameData(frame))
		if sse.IsGap(frame) {
			data = "gap " + data
		}
		seen = append(seen, data)
	}
	return seen
}

// wakes receives when there may be something to read.
func wakes(s pubsub.Subscription) <-chan struct{} {
	woken := make(chan struct{}, 1)
	s.Notify(func() {
		select {
		case woken <- struct{}{}:
		default: // it has been already
		}
	})
	return woken
}

func gap(after, oldest string) string {
	if oldest != "null" {
		oldest = `"` + oldest + `"`
	}
	return fmt.Sprintf(`gap {"after":%q,"oldest":%s}`, after, oldest)
}

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// TestNewestEventIsKept: also by a broker without any room.
func TestNewestEventIsKept(t *testing.T) {
	m := pubsub.NewMemory(0, 0)
	defer m.Subscribe([]string{"a"}, pubsub.Start{}).Close()
	for _, data := range []string{"1", "2", "3"} {
		id := publish(t, m, "a", data)
		s := m.Subscribe([]string{"a"}, pubsub.Start{Replay: 2})
		expect(t, "after "+id, next(t, s), data)
		s.Close()
	}
}

func TestLiveAndReplay(t *testing.T) {
	m := pubsub.NewMemory(100, plenty)
	publish(t, m, "a", "1")
	live := m.Subscribe([]string{"a"}, pubsub.Start{})
	defer live.Close()
	publish(t, m, "a", "2")
	publish(t, m, "a", "3")
	<-wakes(live)
	expect(t, "live", next(t, live), "2", "3")
	expect(t, "nothing new", next(t, live))

	for replay, want := range map[int][]string{0: nil, 1: {"3"}, 2: {"2", "3"}, 3: {"1", "2", "3"}, 1000: {"1", "2", "3"}} {
		s := m.Subscribe([]string{"a"}, pubsub.Start{Replay: replay})
		expect(t, fmt.Sprint("replay ", replay), next(t, s), want...)
		publish(t, m, "b", "no")
		expect(t, "another channel's event", next(t, s))
		s.Close()
	}
}

func TestResume(t *testing.T) {
	m := pubsub.NewMemory(3, plenty)
	var ids []string
	for i := range 5 {
		ids = append(ids, publish(t, m, "a", fmt.Sprint(i)))
	}
	other := publish(t, m, "b", "b")
	publish(t, m, "a", "5") // a now keeps 3, 4, 5
	for _, tt := range []struct{ name, after, want string }{
		{"the newest but one", ids[4], "5"},
		{"all that is kept follows", ids[2], "3 4 5"},
		{"one event is lost", ids[1], gap(ids[1], ids[3]) + " 3 4 5"},
		{"another channel's id", other, "5"},
		{"an id from before this process", "1000-0", gap("1000-0", ids[3]) + " 3 4 5"},
		{"an id from the future", "99999999999999-0", gap("99999999999999-0", ids[3]) + " 3 4 5"},
		{"the id of no event", "0-0", gap("0-0", ids[3]) + " 3 4 5"},
		{"no id at all", "rubbish", gap("rubbish", ids[3]) + " 3 4 5"},
		{"nearly an id", "+" + ids[4], gap("+"+ids[4], ids[3]) + " 3 4 5"},
	} {
		s := m.Subscribe([]string{"a"}, pubsub.Start{After: tt.after, Replay: 1})
		if got := strings.Join(next(t, s), " "); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		s.Close()
	}
	for _, after := range []string{"1-1", "0-0"} {
		s := m.Subscribe([]string{"empty" + after}, pubsub.Start{After: after})
		expect(t, "nothing is kept", next(t, s), gap(after, "null"))
		publish(t, m, "empty"+after, "x")
		expect(t, "after the gap", next(t, s), "x")
		s.Close()
	}
}

func TestSeveralChannels(t *testing.T) {
	m := pubsub.NewMemory(100, plenty)
	var ids, want []string
	for i := range 30 {
		ids = append(ids, publish(t, m, string(rune('a'+i%3)), fmt.Sprint(i)))
		if i%3 < 2 {
			want = append(want, fmt.Sprint(i))
		}
	}
	names := []string{"b", "a", "b"}
	all := m.Subscribe(names, pubsub.Start{Replay: 1000})
	defer all.Close()
	expect(t, "in the order of ids", next(t, all), want...)
	some := m.Subscribe(names, pubsub.Start{Replay: 4})
	defer some.Close()
	expect(t, "the newest of all", next(t, some), "24", "25", "27", "28")
	rest := m.Subscribe(names, pubsub.Start{After: ids[24]})
	defer rest.Close()
	expect(t, "one id resumes all", next(t, rest), "25", "27", "28")
	if got := m.Subscribers(100); got["a"] != 3 || got["b"] != 3 || len(got) != 2 {
		t.Errorf("subscribers %v", got)
	}
}

func TestSlowSubscriberGetsAGap(t *testing.T) {
	m := pubsub.NewMemory(3, plenty)
	s := m.Subscribe([]string{"a"}, pubsub.Start{})
	defer s.Close()
	read := publish(t, m, "a", "0")
	expect(t, "before", next(t, s), "0")
	var ids []string
	for i := range 10 {
		ids = append(ids, publish(t, m, "a", fmt.Sprint(i)))
	}
	expect(t, "behind", next(t, s), gap(read, ids[7]), "7", "8", "9")
	publish(t, m, "a", "10")
	expect(t, "caught up", next(t, s), "10")
}

func TestBatchIsBounded(t *testing.T) {
	m := pubsub.NewMemory(1000, plenty)
	s := m.Subscribe([]string{"a"}, pubsub.Start{})
	defer s.Close()
	for range 600 {
		publish(t, m, "a", "x")
	}
	for _, want := range []int{256, 256, 88, 0} {
		if n := len(next(t, s)); n != want {
			t.Errorf("%d events, want %d", n, want)
		}
	}
	for range 5 {
		publish(t, m, "a", strings.Repeat("x", 7<<10))
	}
	for _, want := range []int{3, 2, 0} {
		if n := len(next(t, s)); n != want {
			t.Errorf("%d large events, want %d", n, want)
		}
	}
}

func TestPublishRefuses(t *testing.T) {
	m := pubsub.NewMemory(10, plenty)
	if _, err := m.Publish(t.Context(), "a", "two\nlines", nil); !errors.Is(err, sse.ErrInvalidField) {
		t.Error(err)
	}
	s := m.Subscribe([]string{"a"}, pubsub.Start{Replay: 10})
	defer s.Close()
	expect(t, "nothing was published", next(t, s))
}

func TestLeastRecentlyUsedGoes(t *testing.T) {
	const channels = 10 // of two events and 10 kB each, of which five fit
	m := pubsub.NewMemory(100, 60_000)
	ids := map[string]string{}
	watched := m.Subscribe([]string{"c0"}, pubsub.Start{})
	defer watched.Close()
	for i := range channels {
		name := fmt.Sprint("c", i)
		ids[name] = publish(t, m, name, strings.Repeat("x", 5_000))
		publish(t, m, name, strings.Repeat("x", 5_000))
		m.Subscribe([]string{"c1"}, pubsub.Start{}).Close() // uses c1
	}
	for i := range channels {
		name := fmt.Sprint("c", i)
		s := m.Subscribe([]string{name}, pubsub.Start{Replay: 1})
		kept := len(next(t, s)) == 1
		if want := i == 1 || i >= channels-4; kept != want {
			t.Errorf("%s kept: %v, want %v", name, kept, want)
		}
		s.Close()
		if !kept {
			s := m.Subscribe([]string{name}, pubsub.Start{After: ids[name]})
			expect(t, "resume in the dropped "+name, next(t, s), gap(ids[name], "null"))
			s.Close()
		}
	}
	expect(t, "a subscriber of a dropped channel", next(t, watched), gap(watched.Position(), "null"))
	publish(t, m, "c0", "again")
	expect(t, "and then", next(t, watched), "again")
}

func TestNewestIsAlwaysKept(t *testing.T) {
	m := pubsub.NewMemory(100, 1000)
	for _, data := range []string{"small", strings.Repeat("x", 5000)} {
		publish(t, m, "a", data)
		s := m.Subscribe([]string{"a"}, pubsub.Start{Replay: 10})
		expect(t, "kept", next(t, s), data)
		s.Close()
	}
}

// TestFloodOfChannels proves that memory is bounded however many names come.
func TestFloodOfChannels(t *testing.T) {
	const limit = 4 << 20
	m := pubsub.NewMemory(1024, limit)
	before := heap()
	for i := range 100_000 {
		publish(t, m, fmt.Sprintf("channel-%d", i), "some payload of a usual length, as it is published")
	}
	if used := heap() - before; used > 2*limit {
		t.Errorf("%d bytes of memory for a limit of %d", used, limit)
	}
	runtime.KeepAlive(m)
}

func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// TestReconnectsLoseNothing has publishers that never pause, and clients that
// leave after a few events and resume, on several channels at once. The time of the
// bubble passes only if a client has lost an event and waits for it.
func TestReconnectsLoseNothing(t *testing.T) { synctest.Test(t, reconnectsLoseNothing) }

func reconnectsLoseNothing(t *testing.T) {
	const publishers, events, clients = 4, 2000, 4
	m := pubsub.NewMemory(publishers*events, 64<<20)
	names := []string{"a", "b", "c"}
	first := publish(t, m, "a", "first")
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := range events {
				if _, err := m.Publish(t.Context(), names[i%3], "", fmt.Appendf(nil, "%d %d", p, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	orders := make([][]string, clients)
	late, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for c := range clients {
		wg.Go(func() {
			last := first
			for len(orders[c]) < publishers*events {
				s := m.Subscribe(names, pubsub.Start{After: last})
				woken := wakes(s)
				for reads := 1 + rand.IntN(3); reads > 0 && len(orders[c]) < publishers*events; {
					frames, _ := s.Next(nil)
					for _, frame := range frames {
						orders[c] = append(orders[c], string(sse.FrameData(frame)))
					}
					if len(frames) > 0 {
						last = s.Position()
						reads--
						continue
					}
					select {
					case <-woken:
					case <-late.Done():
						t.Errorf("client %d has %d of %d events", c, len(orders[c]), publishers*events)
						s.Close()
						return
					}
				}
				s.Close()
			}
		})
	}
	wg.Wait()
	sent := map[string]int{}
	for i, e := range orders[0] {
		if sent[e]++; sent[e] > 1 {
			t.Fatalf("event %d, %q, came twice", i, e)
		}
	}
	for _, order := range orders {
		if !slices.Equal(order, orders[0]) {
			t.Error("clients disagree on the order")
		}
	}
	for p := range publishers {
		at := -1
		for _, e := range orders[0] {
			if rest, ok := strings.CutPrefix(e, fmt.Sprint(p, " ")); ok {
				if at++; rest != fmt.Sprint(at) {
					t.Fatalf("publisher %d: event %s, want %d", p, rest, at)
				}
			}
		}
	}
}

// TestNotifiedOnce: a subscriber that was notified and has not read yet is not
// notified again; one that has read, or has joined since, is.
func TestNotifiedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := pubsub.NewMemory(plenty, plenty<<10)
		var notified [3]atomic.Int64
		join := func(i int) pubsub.Subscription {
			s := b.Subscribe([]string{"a", "b"}, pubsub.Start{})
			s.Notify(func() { notified[i].Add(1) })
			return s
		}
		published := func(want ...int64) {
			t.Helper()
			publish(t, b, "a", "x")
			synctest.Wait()
			for i, n := range want {
				if got := notified[i].Load(); got != n {
					t.Errorf("subscriber %d was notified %d times, not %d", i, got, n)
				}
			}
		}
		first, second := join(0), join(1)
		defer first.Close()
		defer second.Close()
		published(1, 1)
		published(1, 1)
		expect(t, "the first", next(t, first), "x", "x")
		published(2, 2)
		third := join(2)
		defer third.Close()
		published(3, 3, 1)
		published(3, 3, 1)
	})
}

// TestSubscribersAreCountedQuickly: with many channels, those that have subscribers are
// found without looking at the others, and no more of them than are asked for.
func TestSubscribersAreCountedQuickly(t *testing.T) {
	m := pubsub.NewMemory(1, 1<<30)
	for i := range 10_000 {
		publish(t, m, fmt.Sprint("unfollowed-", i), "x")
	}
	var followed []pubsub.Subscription
	for i := range 200 {
		followed = append(followed, m.Subscribe([]string{fmt.Sprint("followed-", i), "all"}, pubsub.Start{}))
	}
	got := m.Subscribers(100)
	if len(got) != 100 || got["all"] != 200 || got["followed-0"] != 1 {
		t.Errorf("%d channels: %v", len(got), got)
	}
	looked := testing.AllocsPerRun(10, func() { got = m.Subscribers(3) })
	if len(got) != 3 || looked > 10 {
		t.Errorf("%v, with %v allocations", got, looked)
	}
	for _, s := range followed[1:] {
		s.Close()
	}
	if got := m.Subscribers(100); len(got) != 2 || got["all"] != 1 || got["followed-0"] != 1 {
		t.Errorf("after all but one have left: %v", got)
	}
	followed[0].Close()
	if got := m.Subscribers(100); len(got) != 0 {
		t.Errorf("after all have left: %v", got)
	}
}
