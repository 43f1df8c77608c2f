package routes_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestBodyThatNeverComes: each request with a body is answered in 10 s, over both
// protocols, and what follows on an HTTP/2 connection still works.
func TestBodyThatNeverComes(t *testing.T) {
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		bubble(t, options(), func(h *harness) {
			connections := func() int { return 1 }
			if protocol == "HTTP/2.0" {
				connections = h.useHTTP2()
			}
			for _, to := range []string{"POST /publish", "POST /jobs", "DELETE /jobs/a", "GET /stream/tick", "PUT /nothing"} {
				method, path, _ := strings.Cut(to, " ")
				body, unwritten := io.Pipe()
				r, err := http.NewRequestWithContext(h.Context(), method, "http://sse.test"+path, body)
				if err != nil {
					h.Fatal(err)
				}
				r.Header.Set("Content-Type", "application/json")
				began := time.Now()
				dripping := time.AfterFunc(9*time.Second, func() { _, _ = unwritten.Write([]byte("{")) }) // which gains nothing
				response, err := h.client.Do(r)
				if err != nil {
					h.Fatal(err)
				}
				if response.StatusCode != http.StatusRequestTimeout || response.Proto != protocol || time.Since(began).Round(time.Second) != 10*time.Second {
					h.Errorf("%s: %s %s after %v", to, response.Proto, response.Status, time.Since(began))
				}
				_ = response.Body.Close()
				_ = unwritten.Close()
				dripping.Stop()
			}
			if n := connections(); n != 1 {
				h.Errorf("%d connections: one slow body has ended the others' connection", n)
			}
		})
	}
}

// TestBodiesAtShutdown: it does not wait for bodies, and what they ask for is
// refused.
func TestBodiesAtShutdown(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		const requests = 50
		var conns []net.Conn
		for range requests {
			conn, err := h.net.Dial(h.Context(), "", "")
			if err != nil {
				h.Fatal(err)
			}
			_, _ = io.WriteString(conn, "POST /publish HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n")
			conns = append(conns, conn)
		}
		synctest.Wait()
		began := time.Now()
		shut := make(chan error, 1)
		go func() { shut <- h.server.Shutdown(h.Context()) }()
		for _, conn := range conns {
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
				h.Fatal(response, err)
			}
			_ = response.Body.Close()
			_ = conn.Close()
		}
		if err := <-shut; err != nil || time.Since(began) > time.Second {
			h.Errorf("the shutdown took %v, %v", time.Since(began), err)
		}
	})
}

// TestTooLongABodyOverHTTP2 leaves the connection to the others on it.
func TestTooLongABodyOverHTTP2(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		connections := h.useHTTP2()
		ticks := h.stream("/stream/tick")
		defer ticks.close()
		h.problem(413, "POST", "/publish", fmt.Sprintf(`{"channel":"a","payload":"%s"}`, strings.Repeat("x", 64<<10)), jsonType)
		h.publish("a", "1")
		ticks.next()
		if n := connections(); n != 1 {
			h.Errorf("%d connections", n)
		}
	})
}
