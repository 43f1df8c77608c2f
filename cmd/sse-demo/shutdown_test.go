package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"example.com/sse-demo/pubsub/redistest"
	"example.com/sse-demo/routes"
	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/ssetest"
)

// TestTermWhilePublishing: every stream that is open ends with all that was
// acknowledged before its end, and what is not published is refused.
func TestTermWhilePublishing(t *testing.T) {
	t.Run("memory", func(t *testing.T) { termWhilePublishing(t) })
	t.Run("redis", func(t *testing.T) { termWhilePublishing(t, "--redis-url", redistest.Start(t).URL) })
}

func termWhilePublishing(t *testing.T, args ...string) {
	const publishers, subscribers = 64, 4
	p := start(t, nil, append(args, "--shutdown-timeout", "1h")...)
	seen := make([]map[string]int, subscribers)
	var reading sync.WaitGroup
	for i := range seen {
		seen[i] = map[string]int{}
		conn := p.open("/stream/channel?name=a")
		_ = conn.SetReadDeadline(time.Now().Add(3 * patience)) // it is one for all events
		reading.Go(func() {
			defer func() { _ = conn.Close() }()
			r := readerOf(conn)
			for {
				e, err := r.Next()
				if err != nil {
					if !errors.Is(err, io.EOF) {
						t.Errorf("subscriber %d: %v", i, err)
					}
					return
				}
				seen[i][e.Data]++
			}
		})
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: publishers}}
	defer client.CloseIdleConnections()
	acknowledged := make([][]string, publishers)
	var publishing sync.WaitGroup
	half := make(chan struct{})
	for i := range acknowledged {
		publishing.Go(func() {
			for n := 0; ; n++ {
				data := fmt.Sprintf(`"%d-%d"`, i, n)
				status, err := p.postBy(client, "/publish", `{"channel":"a","payload":`+data+`}`)
				if err != nil || status != http.StatusOK {
					return // refused, or the service has ended
				}
				if acknowledged[i] = append(acknowledged[i], data); i == 0 && n == 10 {
					close(half)
				}
			}
		})
	}
	<-half
	p.signal(syscall.SIGTERM)
	p.ends(0)
	publishing.Wait()
	reading.Wait()
	total := 0
	for _, all := range acknowledged {
		for _, data := range all {
			total++
			for i := range seen {
				if n := seen[i][data]; n != 1 {
					t.Errorf("subscriber %d has %s %d times", i, data, n)
				}
			}
		}
	}
	t.Logf("%d events were acknowledged", total)
}

// TestTermWithBodiesThatNeverCome: they, and idle connections, do not hold up a
// shutdown.
func TestTermWithBodiesThatNeverCome(t *testing.T) {
	const connections = 300
	p := start(t, nil, "--shutdown-timeout", "1h")
	conns := make([]net.Conn, connections)
	for i := range conns {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(patience))
		conns[i] = conn
		request, want := "GET /health HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200"
		if i%3 > 0 {
			path := []string{"", "/publish", "/jobs"}[i%3]
			request = "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
			want = "HTTP/1.1 100" // the body is being read
		}
		_, _ = io.WriteString(conn, request)
		answer := make([]byte, 1024)
		if n, err := conn.Read(answer); err != nil || !strings.HasPrefix(string(answer[:n]), want) {
			t.Fatalf("%q, %v", answer[:n], err)
		}
	}
	p.signal(syscall.SIGTERM)
	p.ends(0)
	for i, conn := range conns {
		if i%3 == 0 {
			continue
		}
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusServiceUnavailable {
			t.Error(response.Status)
		}
	}
}

// TestTimeLimitsOfConnections: a connection that says nothing is closed, before,
// in and after a TLS handshake, and so is one that is idle.
func TestTimeLimitsOfConnections(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	config, err := tlsConfig(address{TLSCert: cert, TLSKey: key})
	if err != nil {
		t.Fatal(err)
	}
	if readHeaderTimeout > 10*time.Second || idleTimeout != 2*time.Minute {
		t.Error("the limits are others than documented")
	}
	for name, send := range map[string]string{
		"nothing":       "",
		"half a head":   "GET / HTTP/1.1\r\n",
		"then nothing":  "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"HTTP/2":        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"TLS handshake": "",
	} {
		server, listener := newServer(http.NotFoundHandler()), listenAnywhere(t)
		if strings.HasPrefix(name, "TLS") {
			listener = tls.NewListener(listener, config)
		}
		server.ReadHeaderTimeout, server.IdleTimeout = server.ReadHeaderTimeout/100, server.IdleTimeout/1000
		var serving sync.WaitGroup
		serving.Go(func() { _ = server.Serve(listener) })
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, send)
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: %v", name, err)
		}
		_ = conn.Close()
		_ = server.Close()
		serving.Wait()
	}
}

// TestShutdownWithUnusedConnections does not wait for requests that never come.
func TestShutdownWithUnusedConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flags{History: 1, HistoryBytes: 1 << 20}
		back, err := startBackend(t.Context(), f, zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		defer back.close()
		handler := routes.New(routes.Config{Stream: sse.Options{Heartbeat: time.Second}, MaxStreams: 1, Broker: back.broker, Jobs: back.jobs})
		network, server := ssetest.NewNetwork(), newServer(handler)
		var serving sync.WaitGroup
		serving.Go(func() { _ = server.Serve(network) })
		for _, send := range []string{"", "GET / HT"} {
			conn, err := network.Dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			_, _ = io.WriteString(conn, send)
		}
		synctest.Wait()
		began := time.Now()
		if err := shutDown(t.Context(), server, handler); err != nil {
			t.Error(err)
		}
		serving.Wait()
		if took := time.Since(began); took > lastBytes {
			t.Errorf("the shutdown took %v", took)
		}
	})
}
