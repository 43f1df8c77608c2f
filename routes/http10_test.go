package routes_test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"testing"

	"example.com/sse-demo/sse/ssetest"
)

// TestHTTP10: a client or a proxy of HTTP/1.0, as nginx is by default, knows no
// chunks. Its stream has none, and ends with the connection.
func TestHTTP10(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		conn, err := h.net.Dial(h.Context(), "", "")
		if err != nil {
			h.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "GET /stream/channel?name=a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
		in := bufio.NewReader(conn)
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			h.Fatal(err)
		}
		if len(response.TransferEncoding) > 0 || response.ContentLength != -1 || !response.Close {
			h.Errorf("%v %d %v", response.TransferEncoding, response.ContentLength, response.Header)
		}
		r := ssetest.NewReader(response.Body) // the bytes as they stand, to the end of the connection
		h.publish("a", "1")
		if e, err := r.Next(); err != nil || e.Data != "1" || r.Retry() == 0 {
			h.Error(e, err)
		}
		h.app.Drain()
		if _, err := r.Next(); !errors.Is(err, io.EOF) || len(r.Faults) > 0 {
			h.Error(err, r.Faults)
		}
	})
}
