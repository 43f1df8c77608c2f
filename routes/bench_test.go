package routes_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"example.com/sse-demo/routes"
	"example.com/sse-demo/routes/job"
)

// BenchmarkPublishBesideStalledClients publishes over TCP, beside clients that
// have stopped reading, and reports the median of the time an answer takes.
func BenchmarkPublishBesideStalledClients(b *testing.B) {
	for _, stalled := range []int{0, 100} {
		b.Run(fmt.Sprint(stalled), func(b *testing.B) {
			config := options()
			config.Stream.WriteTimeout = time.Hour // they stay stalled
			config.Logger = zerolog.Nop()
			config.Broker = fresh(config.Broker)
			config.Jobs = job.NewManager(config.Logger, config.Broker)
			defer config.Jobs.Close()
			app, err := routes.New(config)
			if err != nil {
				b.Fatal(err)
			}
			server := httptest.NewServer(app)
			defer server.CloseClientConnections()
			addr := server.Listener.Addr().String()
			for range stalled {
				defer func(conn net.Conn) { _ = conn.Close() }(stall(b, addr))
			}
			post := func(size int) {
				body := `{"channel":"a","payload":"` + strings.Repeat("x", size) + `"}`
				request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL+"/publish", strings.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				request.Header.Set("Content-Type", "application/json")
				response, err := http.DefaultClient.Do(request)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
			}
			for range 150 { // 9 MB: more than the sockets take
				post(60_000)
			}
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				post(100)
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-median")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs-p99")
		})
	}
}

// stall opens a stream and does not read it.
func stall(b *testing.B, addr string) net.Conn {
	b.Helper()
	conn, err := new(net.Dialer).DialContext(b.Context(), "tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	_, _ = io.WriteString(conn, "GET /stream/channel?name=a HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := conn.Read(make([]byte, 16)); err != nil {
		b.Fatal(err)
	}
	return conn
}
