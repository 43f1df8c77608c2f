package tail_test

import (
	"bytes"
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"example.com/sse-demo/routes/tail"
)

// TestUnreadable takes the file's permission away, or puts a folder in its
// place: the log says so once, and again when it is over, and no line is
// lost.
func TestUnreadable(t *testing.T) {
	for name, fault := range map[string]struct{ on, off func(f *fixture) }{
		"permission": {
			func(f *fixture) { f.must(os.WriteFile(f.path, []byte("two\n"), 0)) }, // unreadable from its first moment
			func(f *fixture) { f.must(os.Chmod(f.path, 0o600)) },
		},
		"a folder": {
			func(f *fixture) { f.must(os.Mkdir(f.path, 0o700)) },
			func(f *fixture) { f.must(os.Remove(f.path)); f.write("two\n") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "permission" && os.Geteuid() == 0 {
				t.Skip("root may read everything; run the tests as another user")
			}
			f := follow(t, "one\n")
			f.stop()
			var log syncBuffer
			ctx, cancel := context.WithCancel(t.Context())
			f.Follower = tail.New(f.path, zerolog.New(&log))
			var running sync.WaitGroup
			running.Go(func() { f.Follower.Run(ctx) })
			defer running.Wait()
			defer cancel()
			c := f.client(1, "", "")
			c.expect("one")
			f.rename(".1")
			fault.on(f)
			log.until(t, "cannot read the log file")
			fault.off(f)
			c.expect("two")
			log.until(t, "can be read again")
			if n := strings.Count(log.String(), "\n"); n != 2 {
				t.Errorf("%d lines: %s", n, log.String())
			}
		})
	}
}

// syncBuffer is a log that can be waited for.
type syncBuffer struct {
	mu     sync.Mutex
	text   bytes.Buffer
	change chan struct{}
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.change != nil {
		close(b.change)
		b.change = nil
	}
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *syncBuffer) until(t *testing.T, want string) {
	t.Helper()
	timeout := time.After(patience)
	for {
		b.mu.Lock()
		if strings.Contains(b.text.String(), want) {
			b.mu.Unlock()
			return
		}
		if b.change == nil {
			b.change = make(chan struct{})
		}
		change := b.change
		b.mu.Unlock()
		select {
		case <-change:
		case <-timeout:
			t.Fatal("no " + want)
		}
	}
}
