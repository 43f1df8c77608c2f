package redisbroker

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/pubsub/redistest"
	"example.com/sse-demo/sse"
)

// patience is how long a test waits for what should come soon.
const patience = 20 * time.Second

const plenty = 1 << 20

const defaultKey = "pubsub:events"

// replica returns a broker that has been started.
func replica(t testing.TB, url string, change ...func(*Options)) *Broker {
	t.Helper()
	b, err := New(options(url, change...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// options give publishers time: a machine that is busy is no failure.
func options(url string, change ...func(*Options)) Options {
	o := Options{URL: url, ReplicaEvents: plenty, ReplicaBytes: plenty << 10, timing: defaultTiming}
	o.timing.publish = patience
	for _, f := range change {
		f(&o)
	}
	return o
}

// quick makes the times shorter that tests wait for, for those of what goes wrong.
func quick(o *Options) {
	o.timing.publish = defaultTiming.publish
	o.timing.probe = 200 * time.Millisecond
	o.timing.recover = 500 * time.Millisecond
}

// publish publishes again, for a while, what was not published: a machine that is busy is
// no failure.
func publish(t testing.TB, b *Broker, channel, data string) string {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		r, err := b.Publish(t.Context(), channel, "", []byte(data))
		if err == nil {
			return r.ID.String()
		}
		if !errors.Is(err, pubsub.ErrNotPublished) || time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func subscribe(t testing.TB, b *Broker, channel string, start pubsub.Start) pubsub.Subscription {
	s := b.Subscribe([]string{channel}, start)
	t.Cleanup(s.Close)
	return s
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

func gap(after, oldest string) string {
	return fmt.Sprintf(`gap {"after":%q,"oldest":%q}`, after, oldest)
}

func isGap(data string) bool { return strings.HasPrefix(data, "gap ") }

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %.500q, want %.500q", what, got, want)
	}
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

// await reads until n events have come, gaps included.
func await(t testing.TB, s pubsub.Subscription, n int) (seen []string) {
	t.Helper()
	woken, late := wakes(s), time.After(patience)
	for len(seen) < n {
		batch := next(t, s)
		seen = append(seen, batch...)
		if len(batch) == 0 {
			select {
			case <-woken:
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

// publishers publish to the replicas, some hundred events a second each, until stop is
// called, which returns what was acknowledged: for each publisher, in its order.
func publishers(t *testing.T, replicas ...*Broker) (stop func() [][]string) {
	t.Helper()
	over := make(chan struct{})
	acknowledged := make([][]string, 4*len(replicas))
	var working sync.WaitGroup
	for n := range acknowledged {
		working.Go(func() {
			pace := time.NewTicker(2 * time.Millisecond) // without Redis a publication fails at once
			defer pace.Stop()
			for i := 0; ; i++ {
				select {
				case <-over:
					return
				case <-pace.C:
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

// read reads a subscription up to an event "end".
func read(t *testing.T, s pubsub.Subscription) (seen []string) {
	t.Helper()
	for !slices.Contains(seen, "end") {
		seen = append(seen, await(t, s, 1)...)
	}
	return seen
}

// checkAll reads the subscriptions up to an event "end" and compares: all see the
// same, each event once, and all that was acknowledged.
func checkAll(t *testing.T, b *Broker, acknowledged [][]string, subscriptions ...pubsub.Subscription) {
	t.Helper()
	publish(t, b, "a", "end")
	var first []string
	for i, s := range subscriptions {
		seen := read(t, s)
		if i == 0 {
			first = seen
		} else if !slices.Equal(seen, first) {
			t.Errorf("subscriber %d sees %d events in another order than the first, which sees %d", i, len(seen), len(first))
		}
	}
	times := map[string]int{}
	index := map[string]int{}
	for i, data := range first {
		times[data]++
		index[data] = i
		if times[data] > 1 || isGap(data) {
			t.Errorf("%q has come %d times", data, times[data])
		}
	}
	total := 0
	for _, events := range acknowledged {
		before := -1
		for _, data := range events {
			if times[data] == 0 {
				t.Errorf("%q was acknowledged and is lost", data)
			} else if index[data] < before {
				t.Errorf("%q has come before one that was published earlier", data)
			}
			before = index[data]
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
func busyReplicas(t *testing.T, server *redistest.Server) (one, two *Broker, check func()) {
	t.Helper()
	one, two = replica(t, server.URL, quick), replica(t, server.URL, quick)
	here, there := subscribe(t, one, "a", pubsub.Start{}), subscribe(t, two, "a", pubsub.Start{})
	stop := publishers(t, one, two)
	return one, two, func() {
		t.Helper()
		checkAll(t, one, stop(), here, there)
	}
}

// fill puts n events with so many bytes of data into a stream, over 100 channels.
func fill(t testing.TB, server *redistest.Server, key string, n, size int) {
	t.Helper()
	client, data := server.Client(), strings.Repeat("x", size)
	defer func() { _ = client.Close() }()
	if err := client.ScriptLoad(t.Context(), appendScript.source).Err(); err != nil {
		t.Fatal(err)
	}
	for n > 0 {
		batch := min(n, max(1<<20/max(size, 1), 1), 1000)
		_, err := client.Pipelined(t.Context(), func(p redis.Pipeliner) error {
			for i := range batch {
				p.EvalSha(t.Context(), appendScript.hash, []string{key}, int64(1<<40), int64(1<<50), 0, 0, fmt.Sprint("channel-", i%100), "", data)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		n -= batch
	}
}

func TestMain(m *testing.M) {
	logging.Disable()                   // go-redis logs every attempt to connect
	_ = flag.Set("test.parallel", "12") // -parallel wins; the tests mostly wait for processes
	os.Exit(m.Run())
}
