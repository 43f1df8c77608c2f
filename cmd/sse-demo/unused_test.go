package main

import (
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/sse-demo/sse/ssetest"
)

// TestShutdownWithUnusedConnections does not wait for requests that never come.
func TestShutdownWithUnusedConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := ssetest.NewNetwork()
		server := newServer(http.NotFoundHandler(), nil)
		var running sync.WaitGroup
		running.Go(func() { _ = server.Serve(network) })
		dial := func(send string) net.Conn {
			conn, err := network.Dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			_, _ = io.WriteString(conn, send)
			return conn
		}
		conns := []net.Conn{dial(""), dial("GET / HT")}
		synctest.Wait()

		began := time.Now()
		running.Go(func() {
			if err := server.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("the shutdown took %v", took)
			}
		})
		for _, conn := range conns {
			if rest, err := io.ReadAll(conn); err != nil || len(rest) > 0 {
				t.Errorf("%q, %v", rest, err)
			}
		}
		running.Wait()
	})
}
