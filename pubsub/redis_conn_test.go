package pubsub

import (
	"runtime"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"example.com/sse-demo/pubsub/redistest"
)

// TestManyPublishers: those for whom there is no connection wait for one.
func TestManyPublishers(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	r, err := NewRedis(server.URL, 10, 1000, zerolog.Nop())
	if err == nil {
		err = r.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	server.Pause()
	var working sync.WaitGroup
	for range 2 * maxConnections {
		working.Go(func() {
			if _, err := r.Publish(t.Context(), "a", "", nil); err != nil {
				t.Error(err)
			}
		})
	}
	for r.pool.ActiveCount() < maxConnections {
		runtime.Gosched()
	}
	server.Resume()
	working.Wait()
	if n := r.pool.ActiveCount(); n != maxConnections {
		t.Error(n, "connections")
	}
}
