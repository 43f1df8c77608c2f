package tail_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"example.com/sse-demo/routes/tail"
)

// A gate is a disk that stops answering.
type gate struct {
	mu      sync.Mutex
	shut    chan struct{} // nil if it is open
	entered chan struct{} // receives for each read that has to wait
}

type gatedFile struct {
	tail.File
	gate *gate
}

func (g gatedFile) ReadAt(p []byte, offset int64) (int, error) {
	g.gate.mu.Lock()
	shut := g.gate.shut
	g.gate.mu.Unlock()
	if shut != nil {
		g.gate.entered <- struct{}{}
		<-shut
	}
	return g.File.ReadAt(p, offset)
}

func (g *gate) close() { g.mu.Lock(); g.shut = make(chan struct{}); g.mu.Unlock() }

func (g *gate) open() { g.mu.Lock(); close(g.shut); g.shut = nil; g.mu.Unlock() }

// followGated follows a file on a disk that can be stopped.
func followGated(t *testing.T, content string) (*fixture, *gate) {
	f := &fixture{T: t, path: filepath.Join(t.TempDir(), "app.log")}
	f.write(content)
	g := &gate{entered: make(chan struct{}, 100)}
	f.Follower = tail.NewWith(f.path, zerolog.Nop(), func(path string) (tail.File, error) {
		file, err := os.Open(path)
		return gatedFile{file, g}, err
	})
	f.run()
	return f, g
}

// atOnce fails the test if something waits for the disk.
func atOnce(t *testing.T, what string, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal(what, "waits")
	}
}

// TestNothingWaitsForTheDisk stops the disk while the follower reads it.
func TestNothingWaitsForTheDisk(t *testing.T) {
	t.Parallel() // it waits 5 s for the disk
	f, disk := followGated(t, text(numbers(0, 10)))
	old := f.client(1, "", "")
	id := old.expect("line 9")
	disk.close()
	f.write("new\n")
	<-disk.entered // the follower
	var fresh *client
	atOnce(t, "opening", func() { fresh = f.client(0, "", "") })
	atOnce(t, "Next", func() {
		if old.poll() || fresh.poll() {
			t.Error("a line that was not read")
		}
	})
	atOnce(t, "Position", func() {
		if got := fresh.feed.Position(); got != id {
			t.Errorf("position %s, want %s", got, id)
		}
	})
	if fresh.feed.Behind() {
		t.Error("a poll waits")
	}
	atOnce(t, "Close", fresh.feed.Close)
	disk.open()
	old.expect("new")
}

// TestWorkersWaitAlone stops the disk while a client catches up.
func TestWorkersWaitAlone(t *testing.T) {
	t.Parallel() // it waits 5 s for the disk
	f, disk := followGated(t, "line 0\n")
	id := f.client(1, "", "").expect("line 0")
	watcher := f.client(0, "", "")
	f.write(text(numbers(1, 40_000)))
	watcher.expect(numbers(1, 40_000)...)
	behind := f.Follow(0, nil, id)
	stays := f.Follow(0, nil, id)
	disk.close()
	_, _ = behind.Next(nil)
	_, _ = stays.Next(nil)
	<-disk.entered
	<-disk.entered // or it is the follower
	atOnce(t, "Next", func() {
		if frames, err := behind.Next(nil); len(frames) > 0 || err != nil {
			t.Errorf("%d frames, error %v", len(frames), err)
		}
	})
	atOnce(t, "Close", behind.Close)
	atOnce(t, "another client", func() {
		other := f.client(0, "", "")
		other.poll()
		other.feed.Close()
	})
	disk.open()
	f.read(stays).expect(numbers(1, 40_000)...)
}

// TestHugeFile has the follower read 256 GB that are not on the disk.
func TestHugeFile(t *testing.T) {
	f := follow(t, "one\ntwo\n")
	live := f.client(1, "", "")
	live.expect("two")
	if err := os.Truncate(f.path, 256<<30); err != nil {
		t.Skip(err)
	}
	for range 30 {
		c := f.client(10, "", "")
		c.expect("one", "two")
		c.feed.Close()
	}
	id := f.client(10, "", "").expect("one")
	f.client(0, "", id).expect("two")
	f.client(10, "w", "").expect("two")
	atOnce(t, "the end", f.stop)
	f.start()
	atOnce(t, "opening", func() { f.client(1000, "", "") })
	atOnce(t, "the end", f.stop)
}

// TestLongLine has clients that come and go while a line of 70 MB is there.
func TestLongLine(t *testing.T) {
	f := follow(t, "one\n")
	live := f.client(1, "", "")
	id := live.expect("one")
	f.must(os.Truncate(f.path, 70<<20))
	f.write("\ntwo\n")
	cut := strings.Repeat("\x00", tail.MaxLine) + " …[truncated]"
	live.expect(cut, "two")
	for range 10 {
		f.client(10, "", "").expect("two") // the start of the long line is too far back
		f.client(0, "", id).feed.Close()
	}
	f.client(0, "", id).expect(cut, "two")
}

// TestWorkersEnd leaves no goroutine behind, whatever they are at.
func TestWorkersEnd(t *testing.T) {
	f := follow(t, text(numbers(0, 60_000)))
	id := f.client(1000, "", "").expect("line 59000")
	for _, grep := range []string{"", "line", "no match", "(?:.?){240}~"} {
		for _, last := range []string{"", id, "rubbish"} {
			c := f.client(1000, grep, last)
			if last == "" {
				c.poll()
			}
			f.client(1000, grep, last).feed.Close()
		}
	}
	f.stop()
	stacks := make([]byte, 1<<20)
	if stacks := string(stacks[:runtime.Stack(stacks, true)]); strings.Contains(stacks, "tail.(*Feed).search") {
		t.Error(stacks)
	}
	if n := f.OpenFiles(); n > 0 {
		t.Errorf("%d open files", n)
	}
}

// TestFilesAreClosed rotates often under a client that has stopped reading.
func TestFilesAreClosed(t *testing.T) {
	f := follow(t, "start\n")
	stuck := f.client(1, "", "")
	stuck.expect("start")
	watcher := f.client(0, "", "")
	for i := range 2 * tail.MaxOpen {
		f.rename(fmt.Sprintf(".%d", i))
		f.write("line\n")
		watcher.expect("line")
		if n := f.OpenFiles(); n > tail.MaxOpen {
			t.Fatalf("%d open files after %d rotations", n, i+1)
		}
	}
	stuck.expect(strings.Split(strings.Repeat("line ", 2*tail.MaxOpen), " ")[:2*tail.MaxOpen]...)
	stuck.feed.Close()
	f.stop()
	if n := f.OpenFiles(); n > 0 {
		t.Errorf("%d open files", n)
	}
}

// A watchedFile calls before once, at a read.
type watchedFile struct {
	tail.File
	before *atomic.Pointer[func()]
}

func (w watchedFile) ReadAt(p []byte, offset int64) (int, error) {
	if before := w.before.Swap(nil); before != nil {
		(*before)()
	}
	return w.File.ReadAt(p, offset)
}

// TestClosedWhileItIsRead has the follower close a file that a returning client has begun
// to read: it is found beside.
func TestClosedWhileItIsRead(t *testing.T) {
	f := &fixture{T: t, path: filepath.Join(t.TempDir(), "app.log")}
	f.write("line 0\n")
	var before atomic.Pointer[func()] // of the first file
	var isOpen atomic.Bool
	f.Follower = tail.NewWith(f.path, zerolog.Nop(), func(path string) (tail.File, error) {
		file, err := os.Open(path)
		if isOpen.Swap(true) {
			return file, err
		}
		return watchedFile{file, &before}, err
	})
	f.run()
	watcher := f.client(1, "", "")
	id := watcher.expect("line 0")
	lines := numbers(1, 2*tail.KeptLines)
	f.write(text(lines))
	watcher.expect(lines...)
	rotate := func(i int) {
		f.rename(fmt.Sprintf(".%d", i))
		f.write("next\n")
		watcher.expect("next")
	}
	rotate(0)
	closeIt := func() {
		for i := range tail.MaxOpen {
			rotate(i + 1)
		}
	}
	before.Store(&closeIt)
	f.client(0, "", id).expect(append(lines, "next")...)
	if before.Load() != nil {
		t.Error("the file was not read")
	}
}

// TestClosedWhileMatching closes a feed that has much to match: the search ends after
// a chunk.
func TestClosedWhileMatching(t *testing.T) {
	f := follow(t, text(numbers(0, 100_000)))
	grep := regexp.MustCompile("(?:.?){240}~") // 1 ms a line
	feed := f.Follow(1000, grep, "")
	_, _ = feed.Next(nil)
	feed.Close()
	other := f.Follow(1000, grep, "rubbish")
	_, _ = other.Next(nil)
	atOnce(t, "Close", other.Close)
	atOnce(t, "the end", f.stop)
}
