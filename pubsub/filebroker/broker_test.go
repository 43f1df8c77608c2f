package filebroker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"example.com/sse-demo/pubsub"
)

func open(t *testing.T, path string, maxEvents, maxBytes int) *Broker {
	t.Helper()
	b, err := Open(path, maxEvents, maxBytes)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	return b
}

func shut(t *testing.T, b *Broker) {
	t.Helper()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

func publish(t *testing.T, b *Broker, channel, data string) pubsub.ID {
	t.Helper()
	receipt, err := b.Publish(t.Context(), channel, "", []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return receipt.ID
}

// text is what a subscription has now.
func text(t *testing.T, s *pubsub.Subscription) string {
	t.Helper()
	defer s.Close()
	var all strings.Builder
	for {
		frames, err := s.Next(nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(frames) == 0 {
			return all.String()
		}
		for _, frame := range frames {
			all.Write(frame)
		}
	}
}

// TestRestart: everything is there after a restart, under the same ids, for a client
// that resumes and for one that asks for a replay.
func TestRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	b := open(t, path, 10, 1<<20)
	first := publish(t, b, "a", "one")
	publish(t, b, "b", "two\nlines")
	last := publish(t, b, "a", "three")
	want := text(t, b.Subscribe([]string{"a", "b"}, pubsub.Start{After: first.String()}))
	shut(t, b)

	b = open(t, path, 10, 1<<20)
	defer shut(t, b)
	if got := text(t, b.Subscribe([]string{"a", "b"}, pubsub.Start{After: first.String()})); got != want || !strings.Contains(got, "three") {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := text(t, b.Subscribe([]string{"never"}, pubsub.Start{After: first.String()})); got != "" {
		t.Errorf("a channel that never had an event begins with %q", got)
	}
	if id := publish(t, b, "a", "four"); id.Compare(last) <= 0 {
		t.Errorf("%s follows %s", id, last)
	}
}

func TestMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	shut(t, open(t, path, 1, 1))
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
}

// TestDamage cuts the file at every page, and damages each byte of the first pages and
// of a page of each kind: either Open refuses the file, or all events are there.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "data")
	b := open(t, path, 1000, 1<<20)
	for i := range 300 {
		publish(t, b, fmt.Sprint("channel", i%7), strings.Repeat(fmt.Sprint(i), 50))
	}
	publish(t, b, "large", strings.Repeat("x", 20_000))
	var names []string
	for i := range 7 {
		names = append(names, fmt.Sprint("channel", i))
	}
	names = append(names, "large")
	all := pubsub.Start{Replay: 10_000}
	want := text(t, b.Subscribe(names, all))
	shut(t, b)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused, fine := 0, 0
	try := func(what string, content []byte) {
		t.Helper()
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := Open(path, 1000, 1<<20)
		if after, _ := os.ReadFile(path); err != nil {
			refused++
			if string(after) != string(content) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%s: %v; changed: %v", what, err, string(after) != string(content))
			}
			return
		}
		fine++
		if err := b.Start(); err != nil {
			t.Fatal(what, err)
		}
		if got := text(t, b.Subscribe(names, all)); got != want {
			t.Fatalf("%s: events are missing", what)
		}
		shut(t, b)
	}
	page := os.Getpagesize()
	end := len(whole)
	for n := 0; n < end; n += page {
		try(fmt.Sprint("cut at ", n), whole[:n])
		try(fmt.Sprint("cut at ", n+page/2), whole[:n+page/2])
	}
	for n := 0; n < end; n += 37 {
		content := []byte(string(whole))
		content[n] ^= 0x55
		try(fmt.Sprint("byte ", n), content)
	}
	for n := 0; n < end; n += page {
		content := []byte(string(whole))
		copy(content[n:n+page], make([]byte, page))
		try(fmt.Sprint("zeros at ", n), content)
	}
	t.Log(refused, fine, end)
}

func TestConcurrent(t *testing.T) {
	b := open(t, filepath.Join(t.TempDir(), "data"), 1000, 1<<20)
	defer shut(t, b)
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			for range 50 {
				publish(t, b, "a", "x")
			}
		})
	}
	running.Wait()
	if n := strings.Count(text(t, b.Subscribe([]string{"a"}, pubsub.Start{Replay: 1000})), "data: x\n"); n != 400 {
		t.Error(n)
	}
	stats := b.db.Stats().TxStats
	t.Log(stats.GetWrite())
}

var _ = errors.Is
