package routes_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// ask sends a request over a connection without buffers, whose answer is yet to be
// read.
func (h *harness) ask(path string) net.Conn {
	h.Helper()
	conn, err := h.net.Dial(h.Context(), "", "")
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		h.Fatal(err)
	}
	return conn
}

// TestAnswersThatNobodyTakes: the client is cut off after the write timeout.
func TestAnswersThatNobodyTakes(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		for _, path := range []string{"/", "/health", "/openapi.json", "/metrics", "/nothing", "/stream/tick?interval=1"} {
			conn := h.ask(path)
			<-time.After(11 * time.Second) // the write timeout is 10 s
			if answer, err := io.ReadAll(conn); err != nil || len(answer) > 0 {
				h.Errorf("%s: %d bytes, %v", path, len(answer), err)
			}
		}
	})
}

// TestAnswersThatAreTakenSlowly: a client that takes some of an answer within each write
// timeout gets all of it.
func TestAnswersThatAreTakenSlowly(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		_, _, want := h.answer("GET", "/openapi.json", "")
		conn := h.ask("/openapi.json")
		response, err := http.ReadResponse(bufio.NewReaderSize(slowly{conn}, 2<<10), nil)
		if err != nil {
			h.Fatal(err)
		}
		got, err := io.ReadAll(response.Body)
		if err != nil || string(got) != want || len(want) < 10<<10 || !strings.HasPrefix(want, "{") {
			h.Errorf("%d of %d bytes, %v", len(got), len(want), err)
		}
	})
}

// slowly waits before each read.
type slowly struct{ io.Reader }

func (s slowly) Read(p []byte) (int, error) {
	<-time.After(4 * time.Second)
	return s.Reader.Read(p)
}
