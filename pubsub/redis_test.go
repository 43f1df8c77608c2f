package pubsub_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/pubsub/redistest"
	"example.com/sse-demo/sse"
)

// patience is how long a test waits for what should come soon.
const patience = 20 * time.Second

func replica(t testing.TB, url string) *pubsub.Redis {
	t.Helper()
	r, err := pubsub.NewRedis(url, plenty, plenty<<10, zerolog.Nop())
	if err == nil {
		err = r.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func subscribe(t testing.TB, b pubsub.Broker, channel string, start pubsub.Start) *pubsub.Subscription {
	s := b.Subscribe([]string{channel}, start)
	t.Cleanup(s.Close)
	return s
}

// await reads until n events have come, gaps included.
func await(t testing.TB, s *pubsub.Subscription, n int) (seen []string) {
	t.Helper()
	late := time.After(patience)
	for len(seen) < n {
		batch := next(t, s)
		seen = append(seen, batch...)
		if len(batch) == 0 {
			select {
			case <-s.Ready():
			case <-late:
				t.Fatalf("%d of %d events have come: %.300q", len(seen), n, seen)
			}
		}
	}
	return seen
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("waited in vain: ", what)
		}
	}
}

// publishers publish to the replicas until stop is called, which returns what was
// acknowledged: for each publisher, in its order.
func publishers(t *testing.T, replicas ...*pubsub.Redis) (stop func() [][]string) {
	t.Helper()
	over := make(chan struct{})
	acknowledged := make([][]string, 4*len(replicas))
	var working sync.WaitGroup
	for n := range acknowledged {
		working.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-over:
					return
				default:
				}
				data := strconv.Itoa(n) + " " + strconv.Itoa(i)
				if _, err := replicas[n%len(replicas)].Publish(t.Context(), "a", "", []byte(data)); err == nil {
					acknowledged[n] = append(acknowledged[n], data)
				}
			}
		})
	}
	return func() [][]string { close(over); working.Wait(); return acknowledged }
}

// checkAll reads the subscriptions up to an event "end" and compares: all see the
// same, each event once, and all that was acknowledged.
func checkAll(t *testing.T, b pubsub.Broker, acknowledged [][]string, subscriptions ...*pubsub.Subscription) {
	t.Helper()
	publish(t, b, "a", "end")
	var first []string
	for i, s := range subscriptions {
		var seen []string
		for !slices.Contains(seen, "end") {
			seen = append(seen, await(t, s, 1)...)
		}
		if i == 0 {
			first = seen
		} else if !slices.Equal(seen, first) {
			t.Errorf("subscriber %d sees %d events in another order than the first, which sees %d", i, len(seen), len(first))
		}
	}
	times := map[string]int{}
	place := map[string]int{}
	for i, data := range first {
		times[data]++
		place[data] = i
		if times[data] > 1 || strings.HasPrefix(data, "gap") {
			t.Errorf("%q has come %d times", data, times[data])
		}
	}
	total := 0
	for _, events := range acknowledged {
		before := -1
		for _, data := range events {
			if times[data] == 0 {
				t.Errorf("%q was acknowledged and is lost", data)
			} else if place[data] < before {
				t.Errorf("%q has come before one that was published earlier", data)
			}
			before = place[data]
			total++
		}
	}
	t.Logf("%d acknowledged, %d have come", total, len(first)-1)
	if total == 0 {
		t.Error("nothing was acknowledged")
	}
}

// busyReplicas returns two replicas, each with a subscriber and with publishers
// that work until check is called, which compares what the subscribers have seen.
func busyReplicas(t *testing.T, server *redistest.Server) (one, two *pubsub.Redis, check func()) {
	t.Helper()
	one, two = replica(t, server.URL), replica(t, server.URL)
	here, there := subscribe(t, one, "a", pubsub.Start{}), subscribe(t, two, "a", pubsub.Start{})
	stop := publishers(t, one, two)
	return one, two, func() {
		t.Helper()
		checkAll(t, one, stop(), here, there)
	}
}

func TestReplicas(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one, two := replica(t, server.URL), replica(t, server.URL)
	here, there := subscribe(t, one, "a", pubsub.Start{}), subscribe(t, two, "a", pubsub.Start{})
	receipt, err := one.Publish(t.Context(), "a", "greeting", []byte("hello"))
	if err != nil || receipt.Delivered != 1 {
		t.Errorf("%+v, %v", receipt, err)
	}
	second := publish(t, two, "a", "world")
	for _, s := range []*pubsub.Subscription{here, there} {
		frames, _ := s.Next(nil)
		for len(frames) < 2 {
			<-s.Ready()
			frames, _ = s.Next(frames)
		}
		want := "id: " + receipt.ID.String() + "\nevent: greeting\ndata: hello\n\nid: " + second + "\ndata: world\n\n"
		if got := string(slices.Concat(frames...)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	t.Run("replay on a replica that comes later", func(t *testing.T) {
		three := replica(t, server.URL)
		expect(t, "resume", await(t, subscribe(t, three, "a", pubsub.Start{After: receipt.ID.String()}), 1), "world")
		expect(t, "replay", await(t, subscribe(t, three, "a", pubsub.Start{Replay: 5}), 2), "hello", "world")
	})
	t.Run("a bad name is the event's fault", func(t *testing.T) {
		if _, err := one.Publish(t.Context(), "a", "a\nb", nil); !errors.Is(err, sse.ErrField) || one.Err() != nil {
			t.Error(err, one.Err())
		}
	})
	t.Run("entries of others are skipped", func(t *testing.T) {
		server.Do("XADD", pubsub.StreamKey, "*", "what", "ever")
		server.Do("XADD", pubsub.StreamKey, "*", "c", "a", "n", "a\rb", "d", "x")
		publish(t, one, "a", "on")
		expect(t, "what follows", await(t, there, 1), "on")
	})
}

// TestReadYourWrites: who has published on a replica can replay it there.
func TestReadYourWrites(t *testing.T) {
	r := replica(t, redistest.Start(t).URL)
	for i := range 200 {
		data := strconv.Itoa(i)
		publish(t, r, "a", data)
		s := r.Subscribe([]string{"a"}, pubsub.Start{Replay: 1})
		expect(t, "replay", next(t, s), data)
		s.Close()
	}
}

// TestReconnectsDoNotReachRedis: the mirror replays.
func TestReconnectsDoNotReachRedis(t *testing.T) {
	server := redistest.Start(t)
	r := replica(t, server.URL)
	first := publish(t, r, "a", "1")
	publish(t, r, "a", "2")
	commands := func() string { // but for those of this test and of the mirror
		var other []string
		for line := range strings.Lines(server.Do("INFO", "commandstats")) {
			name, rest, _ := strings.Cut(line, ":")
			calls, _, _ := strings.Cut(rest, ",")
			if name == "cmdstat_xadd" || name == "cmdstat_auth" {
				other = append(other, name, calls)
			}
		}
		return strings.Join(other, " ")
	}
	server.Do("CONFIG", "RESETSTAT")
	before := commands()
	for range 1000 {
		s := subscribe(t, r, "a", pubsub.Start{After: first})
		expect(t, "resume", next(t, s), "2")
	}
	if after := commands(); !strings.Contains(after, "calls=2") || strings.Contains(after, "xadd") {
		t.Errorf("Redis notices: %s, then %s", before, after)
	}
}

// TestAheadOfTheMirror: a client comes from another replica with an event that
// this one does not have yet.
func TestAheadOfTheMirror(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cable, url := lineTo(t, server)
	near, far := replica(t, server.URL), replica(t, url)
	publish(t, near, "a", "0")
	expect(t, "live", await(t, subscribe(t, far, "a", pubsub.Start{Replay: 1}), 0))
	cable.set(true)
	eventually(t, "the cut is noticed", func() bool { return far.Err() != nil })
	seen := publish(t, near, "a", "1")
	s := subscribe(t, far, "a", pubsub.Start{After: seen})
	expect(t, "before the mirror is there", next(t, s))
	publish(t, near, "a", "2")
	cable.set(false)
	expect(t, "then", await(t, s, 1), "2")

	now := strconv.FormatInt(time.Now().Add(time.Second).UnixMilli(), 10)
	for _, id := range []string{now + "-0", "9999999999999-0"} {
		got := await(t, subscribe(t, far, "a", pubsub.Start{After: id}), 4)
		if !strings.HasPrefix(got[0], `gap {"after":"`+id) {
			t.Errorf("an id of no event: %q", got)
		}
		expect(t, "what is kept", got[1:], "0", "1", "2")
	}
}

func TestStartWithoutRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Prepare(t)
	start := func(url string) error {
		r, err := pubsub.NewRedis(url, 1, 1, zerolog.Nop())
		if err != nil {
			return err
		}
		defer r.Close()
		return r.Start(t.Context())
	}
	if err := start(server.URL); err == nil || !strings.Contains(err.Error(), server.Addr) {
		t.Error("nobody is there:", err)
	}
	late := make(chan error, 1)
	go func() { late <- start(server.URL) }()
	server.Run()
	if err := <-late; err != nil {
		t.Error("it has come:", err)
	}
	wrong := strings.Replace(server.URL, redistest.Password, "secret", 1)
	if err := start(wrong); err == nil || !strings.Contains(err.Error(), "WRONGPASS") || strings.Contains(err.Error(), "secret") {
		t.Error("wrong password:", err)
	}
}

func TestRedisURL(t *testing.T) {
	for _, url := range []string{
		"redis://", "redis://h", "redis://h:1/2", "redis://h?db=2", "redis://user:secret@[::1]:6379", "rediss://h", "unix:///run/redis.sock?db=2",
	} {
		if err := pubsub.CheckRedisURL(url); err != nil {
			t.Errorf("%q: %v", url, err)
		}
	}
	for _, url := range []string{
		"", "localhost", "http://x", "redis:secret@h", "redis://:secret@[", "redis://:secret@h:port", "redis://h/a", "redis://h/-1", "redis://h?database=2",
		"redis://h#1", "unix://:secret@", "unix://run/redis.sock", "unix:///run/redis.sock?db=a",
	} {
		if err := pubsub.CheckRedisURL(url); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestRedisOnASocket(t *testing.T) {
	t.Parallel()
	server := redistest.Prepare(t)
	socket := filepath.Join(t.TempDir(), "redis.sock")
	server.Run("--unixsocket", socket)
	r := replica(t, "unix://:"+redistest.Password+"@"+socket+"?db=3")
	publish(t, r, "a", "1")
	if keys := server.Do("INFO", "keyspace"); !strings.Contains(keys, "db3:keys=1") {
		t.Error("it is another database:", keys)
	}
}

// TestHistoryOfRedis is bounded.
func TestHistoryOfRedis(t *testing.T) {
	server := redistest.Start(t)
	r := replica(t, server.URL)
	server.Do("CONFIG", "SET", "stream-node-max-entries", 10)
	fill(t, server, pubsub.StreamEvents+900)
	publish(t, r, "a", "1")
	n, _ := strconv.Atoi(server.Do("XLEN", pubsub.StreamKey))
	if n < pubsub.StreamEvents || n > pubsub.StreamEvents+200 {
		t.Error(n, "entries are kept")
	}
}
