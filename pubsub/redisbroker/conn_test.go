package redisbroker

import (
	"runtime"
	"sync"
	"testing"

	"example.com/sse-demo/pubsub/redistest"
)

// TestManyPublishers: those for whom there is no connection wait for one.
func TestManyPublishers(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := replica(t, server.URL, patient)
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
