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

// TestChunkedBodyThatIsEmpty is no body, as one of no length is.
func TestChunkedBodyThatIsEmpty(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		r, err := http.NewRequestWithContext(h.Context(), http.MethodPost, "http://sse.test/jobs", io.NopCloser(strings.NewReader("")))
		if err != nil {
			h.Fatal(err)
		}
		response, err := h.client.Do(r)
		if err != nil {
			h.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusAccepted {
			h.Error(response.Status)
		}
	})
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

// TestConnectionsOfUnfinishedBodies: a client that never sends the rest of a body
// gets its answer in time, and does not keep its connection.
func TestConnectionsOfUnfinishedBodies(t *testing.T) {
	const unfinished = "\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n"
	for _, tt := range []struct{ request, status string }{
		{"POST /publish HTTP/1.1" + unfinished + "\r\n{", "408"},
		{"POST /nowhere HTTP/1.1" + unfinished + "\r\n{", "408"},
		{"GET /stream/tick HTTP/1.1" + unfinished + "\r\n{", "408"},
		{"POST /publish HTTP/1.1" + unfinished + "Sec-Fetch-Site: cross-site\r\n\r\n", "408"},
		{"OPTIONS /publish HTTP/1.1" + unfinished + "Origin: https://good.test\r\nAccess-Control-Request-Method: POST\r\n\r\n", "204"},
		{"POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 64<<10+1), "413"},
		{"POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n", "413"}, // the length is enough
		{"POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\nExpect: 100-continue\r\n\r\n", "413"},
	} {
		config := options()
		config.CORSOrigins = []string{"https://good.test"}
		bubble(t, config, func(h *harness) {
			conn, err := h.net.Dial(h.Context(), "", "")
			if err != nil {
				h.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			go func() { _, _ = io.WriteString(conn, tt.request) }()
			_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			answer, err := io.ReadAll(conn)
			if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 "+tt.status) {
				h.Errorf("%.60q: %.40q, %v; want %s and the end of the connection", tt.request, answer, err, tt.status)
			}
		})
	}
}
