package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestInput: that a client leaves is noticed, whatever it has sent after its request,
// over TLS, over HTTP/1.0, and after a POST.
func TestInput(t *testing.T) {
	cert, key := certificate(t)
	secure := start(t, nil, "--heartbeat", "1h", "--tls-cert", cert, "--tls-key", key)
	plain := start(t, nil, "--heartbeat", "1h")
	dialTLS := func() (net.Conn, error) {
		return (&tls.Dialer{Config: trusting(t, cert)}).DialContext(t.Context(), "tcp", secure.addr)
	}
	dialTCP := func() (net.Conn, error) { return new(net.Dialer).DialContext(t.Context(), "tcp", plain.addr) }
	const (
		get  = "GET /stream/channel?name=a HTTP/1.1\r\nHost: x\r\n\r\n"
		get0 = "GET /stream/channel?name=a HTTP/1.0\r\nHost: x\r\n\r\n"
		post = "POST /jobs HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n" +
			"Content-Type: application/json\r\nContent-Length: 21\r\n\r\n" + `{"durationMs":600000}`
	)
	for _, tt := range []struct {
		name, request, early, late string
		dial                       func() (net.Conn, error)
		on                         *program
	}{
		{"TLS, nothing", get, "", "", dialTLS, secure},
		{"TLS, a byte", get, "", "x", dialTLS, secure},
		{"TLS, a byte right behind the request", get, "x", "", dialTLS, secure},
		{"TLS, another request", get, get, get, dialTLS, secure},
		{"TLS, POST", post, "", "x", dialTLS, secure},
		{"HTTP/1.0, a byte", get0, "", "x", dialTCP, plain},
		{"POST, a byte", post, "", "x", dialTCP, plain},
		{"POST, a byte right behind the request", post, "x", "", dialTCP, plain},
	} {
		conn, err := tt.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, tt.request)
		_, _ = io.WriteString(conn, tt.early)
		if head, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(head, "200") {
			t.Fatal(tt.name, head, err)
		}
		_, _ = io.WriteString(conn, tt.late)
		before := strings.Count(tt.on.stderr.text(), `"reason":"client"`)
		_ = conn.Close()
		tt.on.eventually(tt.name+": the client has left", func() bool {
			return strings.Count(tt.on.stderr.text(), `"reason":"client"`) > before
		})
	}
}

// openOld opens a stream over HTTP/1.0, until the end of the test.
func (p *program) openOld() (net.Conn, *bufio.Reader) {
	p.Helper()
	conn, err := new(net.Dialer).DialContext(p.Context(), "tcp", p.addr)
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, "GET /stream/channel?name=a HTTP/1.0\r\nHost: x\r\n\r\n")
	in := bufio.NewReader(conn)
	_, _ = in.ReadString('\n')
	return conn, in
}

// TestTooMuchInput cuts off a client that does not stop.
func TestTooMuchInput(t *testing.T) {
	p := start(t, nil, "--heartbeat", "1h")
	conn, in := p.openOld()
	_, _ = conn.Write(make([]byte, 64<<10+1))
	_, _ = io.Copy(io.Discard, in) // until it is cut off
	p.eventually("it is gone", func() bool { return p.connections() == 0 })
}

// TestEndAfterInput: what a client of HTTP/1.0 sends after its request must be read, or
// the kernel resets the connection at the end, and what is on its way is lost.
func TestEndAfterInput(t *testing.T) {
	p := start(t, nil, "--heartbeat", "1h")
	conn, in := p.openOld()
	_, _ = conn.Write(make([]byte, 10_000))
	err := p.publish("1")
	if err != nil {
		t.Fatal(err)
	}
	for line := ""; err == nil && !strings.HasPrefix(line, "data: 1"); {
		line, err = in.ReadString('\n')
	}
	p.signal(syscall.SIGTERM)
	if _, err := io.Copy(io.Discard, in); err != nil {
		t.Error(err)
	}
}

// TestPollingOverTLS: one connection serves long polling, again and again.
func TestPollingOverTLS(t *testing.T) {
	cert, key := certificate(t)
	p := start(t, nil, "--tls-cert", cert, "--tls-key", key)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: trusting(t, cert)}} // HTTP/1.1
	defer client.CloseIdleConnections()
	conns := map[net.Conn]bool{}
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { conns[info.Conn] = true }})
	for range 3 {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+p.addr+"/stream/tick?wait=20000", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.ProtoMajor != 1 || !strings.Contains(string(text), "event: tick") {
			t.Fatalf("%s %q %v", response.Proto, text, err)
		}
	}
	if len(conns) != 1 {
		t.Errorf("%d connections", len(conns))
	}
}

// trusting is the configuration of a client that trusts this certificate.
func trusting(t *testing.T, cert string) *tls.Config {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(readText(t, cert))) {
		t.Fatal("no certificate in " + cert)
	}
	return &tls.Config{RootCAs: pool}
}
