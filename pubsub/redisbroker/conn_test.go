package redisbroker

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"example.com/sse-demo/pubsub/redistest"
)

// A pipe is a socket in memory.
type pipe struct{ net.Conn }

func (pipe) SyscallConn() (syscall.RawConn, error) { return nil, syscall.ENOTSUP }

// TestSilence: an answer that has begun may take any time as long as bytes come. It has to begin
// soon, so that a node that hangs is left for another. A read without a deadline, as of a client
// that waits for messages of a Sentinel, waits for ever.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		var writing sync.WaitGroup
		defer writing.Wait()
		defer func() { _, _ = near.Close(), far.Close() }()
		writing.Go(func() {
			for _, after := range []time.Duration{4 * time.Second, 4 * time.Second, 4 * time.Second, time.Hour} {
				<-time.After(after)
				_, _ = far.Write([]byte("x"))
			}
		})
		c := &conn{socket: pipe{near}, timeout: 5 * time.Second, silence: 6 * time.Second}
		read := func(bytes int, deadline time.Time) error {
			_ = c.SetReadDeadline(deadline)
			_, err := io.ReadFull(c, make([]byte, bytes))
			return err
		}
		began := time.Now()
		if err := read(3, began.Add(11*time.Second)); err != nil {
			t.Error(time.Since(began), err)
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != 18*time.Second {
			t.Error("no more comes:", time.Since(began), err)
		}
		for deadline, want := range map[time.Duration]time.Duration{11 * time.Second: 5 * time.Second, time.Second: time.Second} {
			began = time.Now()
			if err := read(1, began.Add(deadline)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != want {
				t.Error(deadline, time.Since(began), err)
			}
		}
		if err := read(1, time.Time{}); err != nil {
			t.Error(time.Since(began), err)
		}
	})
}

// TestManyPublishers: those for whom there is no connection wait for one.
func TestManyPublishers(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := replica(t, server.URL)
	server.Pause()
	var working sync.WaitGroup
	for range 2 * maxConnections {
		working.Go(func() {
			if _, err := b.Publish(t.Context(), "a", "", nil); err != nil {
				t.Error(err)
			}
		})
	}
	for b.commands.PoolStats().TotalConns < maxConnections {
		runtime.Gosched()
	}
	server.Resume()
	working.Wait()
	if n := b.commands.PoolStats().TotalConns; n != maxConnections {
		t.Error(n, "connections")
	}
}
