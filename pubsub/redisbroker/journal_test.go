package redisbroker

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/pubsub/redistest"
)

// startJournal returns a journal that was started. see may be nil.
func startJournal(t testing.TB, url string, see func(data string), change ...func(*Options)) *Journal {
	t.Helper()
	j, err := NewJournal(options(url, change...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	if see != nil {
		j.Observe(func(_ pubsub.ID, _ string, data []byte) { see(string(data)) })
	}
	if err := j.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return j
}

func write(t testing.TB, j *Journal, data string) {
	t.Helper()
	if err := j.Publish(t.Context(), "", []byte(data)); err != nil {
		t.Fatal(err)
	}
}

// TestJournal: every process observes all messages in one order, those from before its
// start included. Publish returns when this process has observed the message, and Sync
// when it has observed what others have published. Sync writes nothing.
func TestJournal(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	line, url := lineTo(t, server)
	var mu sync.Mutex
	seen := [2][]string{}
	observe := func(i int) func(string) {
		return func(data string) {
			mu.Lock()
			defer mu.Unlock()
			seen[i] = append(seen[i], data)
		}
	}
	observed := func(i int) []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(seen[i])
	}
	near := startJournal(t, server.URL, observe(0))
	want := []string{"before"}
	write(t, near, "before")
	far := startJournal(t, url, observe(1))
	for i := range 100 {
		want = append(want, strconv.Itoa(i))
		write(t, near, strconv.Itoa(i))
		expect(t, "right after Publish", observed(0), want...)
		if err := far.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		expect(t, "right after Sync", observed(1), want...)
	}
	before := server.Do("XLEN", defaultKey)
	for range 100 {
		if err := far.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if after := server.Do("XLEN", defaultKey); after != before {
		t.Errorf("%s entries, then %s", before, after)
	}
	line.set(true)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := far.Sync(ctx); err == nil {
		t.Error("it is cut off, and knows all")
	}
}
