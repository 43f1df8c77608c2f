package filebroker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"go.etcd.io/bbolt"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

func open(t *testing.T, path string, maxEvents, maxBytes int) *Broker {
	t.Helper()
	b := New(path, maxEvents, maxBytes)
	if err := b.Start(t.Context()); err != nil {
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
func text(t *testing.T, s pubsub.Subscription) string {
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

// TestMode: only the user of the service can read the file, also one that was copied.
func TestMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	for range 2 {
		shut(t, open(t, path, 1, 1))
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Error(info.Mode(), err)
		}
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestInterrupted: a start ends with its context, and leaves the file as it is.
func TestInterrupted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	b := open(t, path, 10, 1<<20)
	publish(t, b, "a", "1")
	shut(t, b)
	before, _ := os.ReadFile(path)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b = New(path, 10, 1<<20)
	defer shut(t, b)
	if err := b.Start(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Error("the file has changed")
	}
}

// TestChannelName: what cannot be a key of the file is refused, and harms no other event.
func TestChannelName(t *testing.T) {
	b := open(t, filepath.Join(t.TempDir(), "data"), 10, 1<<20)
	defer shut(t, b)
	for size, ok := range map[int]bool{0: false, 1: true, maxChannel: true, maxChannel + 1: false} {
		_, err := b.Publish(t.Context(), strings.Repeat("a", size), "", nil)
		if ok && err != nil || !ok && !errors.Is(err, sse.ErrInvalidField) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// TestDamage cuts the file at every page, and damages each byte of the first pages and
// of a page of each kind: either Start refuses the file, or all events are there.
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
		b := New(path, 1000, 1<<20)
		err := b.Start(t.Context())
		if after, _ := os.ReadFile(path); err != nil {
			refused++
			shut(t, b)
			if string(after) != string(content) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%s: %v; changed: %v", what, err, string(after) != string(content))
			}
			return
		}
		fine++
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
	for n := 0; n < end; n += 149 {
		content := []byte(string(whole))
		content[n] ^= 0x55
		try(fmt.Sprint("byte ", n), content)
	}
	for n := 0; n < end; n += page {
		content := []byte(string(whole))
		copy(content[n:n+page], make([]byte, page))
		try(fmt.Sprint("zeros at ", n), content)
	}
	if refused == 0 || fine == 0 { // free pages may hold anything
		t.Errorf("%d files were refused, %d not", refused, fine)
	}
}

// TestDamagedBytes damages each byte of a small file that has lost events: it is refused,
// or clients get the same.
func TestDamagedBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	b := open(t, path, 3, 1<<20)
	for i := range 6 {
		publish(t, b, "a", fmt.Sprint(i))
	}
	shut(t, b)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	state := func(content []byte) string {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		b := New(path, 3, 1<<20)
		defer shut(t, b)
		if b.Start(t.Context()) != nil {
			return ""
		}
		all := b.last.String()
		for _, after := range []string{"1-0", all} {
			all += "\n" + text(t, b.Subscribe([]string{"a", "b"}, pubsub.Start{After: after}))
		}
		return all
	}
	want := state(whole)
	for n := range whole {
		if whole[n] == 0 {
			continue
		}
		content := []byte(string(whole))
		content[n] ^= 0x55
		if got := state(content); got != "" && got != want {
			t.Errorf("byte %d: clients get %s", n, got)
		}
	}
}

// TestObservers: an observer gets no message of a damaged file, and its own panic is not
// reported as damage.
func TestObservers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	b := open(t, path, 1, 1)
	for _, data := range []string{"one", "two"} {
		if err := b.Journal().Publish(t.Context(), "", []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	shut(t, b)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	start := func(content string) (observed string, err error) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		b := New(path, 1, 1)
		defer shut(t, b)
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v", p)
			}
		}()
		b.Journal().Observe(func(_ pubsub.ID, _ string, data []byte) {
			if observed += string(data); observed == "onetwo" {
				panic("of an observer")
			}
		})
		err = b.Start(t.Context())
		return observed, err
	}
	if observed, err := start(strings.ReplaceAll(string(whole), "two", "2wo")); observed != "" || !errors.Is(err, errContent) {
		t.Error("a damaged file:", observed, err)
	}
	if _, err := start(string(whole)); err == nil || err.Error() != "panic: of an observer" {
		t.Error("a panic:", err)
	}
}

// TestManyPages: meta pages that are whole, but name more pages than there are, take no
// memory for them.
func TestManyPages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	shut(t, open(t, path, 1, 1))
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for number := range 2 {
		meta := content[number*os.Getpagesize()+pageHeader:][:metaSize]
		binary.NativeEndian.PutUint64(meta[40:], 1<<40)
		sum := fnv.New64a()
		_, _ = sum.Write(meta[:metaSize-8])
		binary.NativeEndian.PutUint64(meta[metaSize-8:], sum.Sum64())
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	b := New(path, 1, 1)
	defer shut(t, b)
	if err := b.Start(t.Context()); err == nil || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
}

// TestShared: publishers at the same time share commits. One alone has one for each.
func TestShared(t *testing.T) {
	const publishers, events = 8, 50
	path := filepath.Join(t.TempDir(), "data")
	b := open(t, path, 1000, 1<<20)
	commits := func() int {
		var id int
		_ = b.db.View(func(tx *bbolt.Tx) error { id = tx.ID(); return nil })
		return id
	}
	before := commits()
	for range events {
		publish(t, b, "a", "x")
	}
	if n := commits() - before; n != events {
		t.Errorf("%d commits for %d events, one after the other", n, events)
	}
	before = commits()
	var running sync.WaitGroup
	for range publishers {
		running.Go(func() {
			for range events {
				publish(t, b, "a", "x")
			}
		})
	}
	running.Wait()
	if n := commits() - before; n > publishers*events/2 {
		t.Errorf("%d commits for %d events of %d publishers", n, publishers*events, publishers)
	}
	shut(t, b)
	b = open(t, path, 1000, 1<<20)
	defer shut(t, b)
	if n := strings.Count(text(t, b.Subscribe([]string{"a"}, pubsub.Start{Replay: 1000})), "data: x\n"); n != (publishers+1)*events {
		t.Errorf("%d events", n)
	}
}

// TestProbe: whether the disk has room is found out in a file without a name, which
// needs no free file descriptor, and stays where it is if the folder moves.
func TestProbe(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "before")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	b := New(filepath.Join(dir, "data"), 10, 1<<20)
	if err := b.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer shut(t, b)
	if files, err := os.ReadDir(dir); len(files) != 1 && runtime.GOOS != "windows" {
		t.Error(files, err)
	}
	if err := os.Rename(dir, dir+"-after"); err != nil {
		t.Skip("an open folder cannot be renamed: ", err)
	}
	b.tryRoom()
	if err := b.Err(); err != nil {
		t.Error("after the folder was renamed:", err)
	}
}

// TestFailedCommit: what cannot be written is not published, and harms nothing that is.
func TestFailedCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	b := open(t, path, 1000, 8<<20)
	publish(t, b, "a", "1")
	b.db.MaxSize = 1 << 20
	for range 100 {
		if _, err := b.Publish(t.Context(), "a", "", make([]byte, 60_000)); err != nil && !errors.Is(err, pubsub.ErrNotPublished) {
			t.Fatal(err)
		}
	}
	if b.Err() == nil {
		t.Error("the file has grown beyond its limit")
	}
	b.db.MaxSize = 0
	b.note(nil) // as when there is room again
	publish(t, b, "a", "2")
	all := pubsub.Start{Replay: 1000}
	want := text(t, b.Subscribe([]string{"a"}, all))
	shut(t, b)
	b = open(t, path, 1000, 8<<20)
	defer shut(t, b)
	if got := text(t, b.Subscribe([]string{"a"}, all)); got != want || !strings.Contains(got, "data: 2\n") {
		t.Errorf("%d bytes after a restart, %d before", len(got), len(want))
	}
}

// TestHistory: what the history no longer keeps is a gap also after a restart, and
// what a channel never had is none.
func TestHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	b := open(t, path, 3, 1<<20)
	publish(t, b, "other", "0")
	var ids []pubsub.ID
	for i := range 6 {
		ids = append(ids, publish(t, b, "a", fmt.Sprint(i)))
	}
	publish(t, b, "other", "1") // what was dropped last is deleted with the next commit
	for range 2 {
		for i, id := range ids {
			got := text(t, b.Subscribe([]string{"a"}, pubsub.Start{After: id.String()}))
			if isGap := strings.HasPrefix(got, "event: gap\n"); isGap != (i < 2) {
				t.Errorf("after event %d: %q", i, got)
			}
		}
		for _, channel := range []string{"other", "never"} {
			if got := text(t, b.Subscribe([]string{channel}, pubsub.Start{After: ids[0].String()})); strings.Contains(got, "gap") {
				t.Errorf("%s: %q", channel, got)
			}
		}
		shut(t, b)
		b = open(t, path, 3, 1<<20)
	}
	_ = b.db.View(func(tx *bbolt.Tx) error {
		if n := tx.Bucket(bucketName).Stats().KeyN; n != 2+3+2 { // the beginning, and a dropped channel
			t.Errorf("the file has %d entries", n)
		}
		return nil
	})
	shut(t, b)
}

// TestForgotten: however many channels were dropped, a client that has followed a channel
// which is kept has no gap after a restart, one of a dropped channel has, and the file
// names a limited number of them.
func TestForgotten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	b := open(t, path, 10, 10_000)
	b.db.NoSync = true // it is quicker
	begin := publish(t, b, "channel 000", "0")
	limit := 100 * (recordSize + len(record{channel: "channel 000"}.key()))
	b.max[lostKind] = limit
	var seen, newer pubsub.ID
	for i := range 300 {
		seen, newer = newer, publish(t, b, "kept", fmt.Sprint(i))
		publish(t, b, fmt.Sprintf("channel %03d", i), "x")
	}
	for range 2 {
		if got := text(t, b.Subscribe([]string{"kept"}, pubsub.Start{After: seen.String()})); !strings.HasPrefix(got, "id: "+newer.String()) {
			t.Errorf("kept: %q", got)
		}
		for _, channel := range []string{"channel 000", "channel 080", "channel 280"} {
			if got := text(t, b.Subscribe([]string{channel}, pubsub.Start{After: begin.String()})); !strings.HasPrefix(got, "event: gap\n") {
				t.Errorf("%s: %q", channel, got)
			}
		}
		if size := b.account.size[lostKind]; size < limit*9/10 || size > limit*11/10 {
			t.Errorf("lost events take %d bytes of %d", size, limit)
		}
		before := b.account
		shut(t, b)
		if b = open(t, path, 10, 10_000); b.account != before {
			t.Errorf("%+v after a restart, %+v before", b.account, before)
		}
	}
	shut(t, b)
}

// TestLaterThanNow: an id that was never given out begins with a gap. No other process
// gives out ids, so the clock of none may be ahead.
func TestLaterThanNow(t *testing.T) {
	b := open(t, filepath.Join(t.TempDir(), "data"), 10, 1<<20)
	defer shut(t, b)
	last := publish(t, b, "a", "1")
	s := b.Subscribe([]string{"a"}, pubsub.Start{After: pubsub.ID{last[0] + 30_000, 0}.String()})
	publish(t, b, "a", "2")
	if got := text(t, s); !strings.HasPrefix(got, "event: gap\n") || !strings.Contains(got, "data: 2\n") {
		t.Errorf("%q", got)
	}
}

// TestLink: a link is followed, and never replaced.
func TestLink(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	path, link := filepath.Join(dir, "data"), filepath.Join(other, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Skip("links: ", err)
	}
	b := New(link, 10, 1<<20)
	if err := b.Start(t.Context()); err == nil || !strings.Contains(err.Error(), link) {
		t.Errorf("a link to nothing: %v", err)
	}
	shut(t, b)
	shut(t, open(t, path, 10, 1<<20))
	b = open(t, link, 10, 1<<20)
	defer shut(t, b)
	if got := b.db.Path(); got != path {
		t.Errorf("%s is open", got)
	}
	if target, err := os.Readlink(link); target != path {
		t.Errorf("the link leads to %q, %v", target, err)
	}
}

// TestBounded: the file takes at most four times the history and 8 MiB, when several
// times as much was published.
func TestBounded(t *testing.T) {
	const maxBytes, publishers = 2 << 20, 64
	for name, one := range map[string]func(n int) (channel string, size int){
		"large and small":      func(n int) (string, int) { return fmt.Sprint(n % 30), 60_000 >> (n % 11) },
		"one busy, many quiet": func(n int) (string, int) { return fmt.Sprint("channel ", n/10*(n%10/9)), 1000 },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "data")
			b := open(t, path, 1024, maxBytes)
			b.db.NoSync = true // it is quicker
			var running sync.WaitGroup
			for first := range publishers {
				running.Go(func() {
					for n, sum := first, 0; sum < 4*maxBytes/publishers; n += publishers {
						channel, size := one(n)
						publish(t, b, channel, strings.Repeat("x", size))
						if err := b.Journal().Publish(t.Context(), "m", make([]byte, 100)); err != nil {
							t.Error(err)
						}
						sum += size
					}
				})
			}
			running.Wait()
			shut(t, b)
			if info, err := os.Stat(path); err != nil || info.Size() > 4*maxBytes+8<<20 {
				t.Errorf("%d bytes, %v", info.Size(), err)
			}
		})
	}
}

// TestSmallerHistory: the file shrinks when the service starts with a smaller history.
func TestSmallerHistory(t *testing.T) {
	const less = 1 << 20
	path := filepath.Join(t.TempDir(), "data")
	b := open(t, path, 1024, 64<<20)
	b.db.NoSync = true // it is quicker
	var running sync.WaitGroup
	for p := range 32 {
		running.Go(func() {
			for range 16 {
				publish(t, b, fmt.Sprint(p), strings.Repeat("x", 60_000))
			}
		})
	}
	running.Wait()
	last := publish(t, b, "last", "y")
	shut(t, b)
	if info, err := os.Stat(path); err != nil || info.Size() <= 4*less+8<<20 {
		t.Fatalf("%d bytes, %v", info.Size(), err)
	}
	for range 2 {
		b = open(t, path, 1024, less)
		if info, err := os.Stat(path); err != nil || info.Size() > 4*less+8<<20 || info.Mode().Perm() != 0o600 {
			t.Errorf("%d bytes, %v, %v", info.Size(), info.Mode(), err)
		}
		if got := text(t, b.Subscribe([]string{"last"}, pubsub.Start{Replay: 1})); !strings.Contains(got, "id: "+last.String()+"\ndata: y\n") {
			t.Errorf("%q", got)
		}
		if got := text(t, b.Subscribe([]string{"0"}, pubsub.Start{After: "1-0"})); !strings.HasPrefix(got, "event: gap\n") {
			t.Errorf("%.100q", got)
		}
		last = publish(t, b, "last", "y")
		shut(t, b)
	}
}
