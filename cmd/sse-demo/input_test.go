package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/ssetest"
)

// TestInput: that a client leaves is noticed, whatever it has sent after its
// request, if net/http serves its stream: over TLS, and over HTTP/1.0.
func TestInput(t *testing.T) {
	cert, key := certificate(t)
	secure := start(t, nil, "--heartbeat", "1h", "--tls-cert", cert, "--tls-key", key)
	plain := start(t, nil, "--heartbeat", "1h")
	dialTLS := func() (net.Conn, error) {
		return (&tls.Dialer{Config: trusting(t, cert)}).DialContext(t.Context(), "tcp", secure.addr)
	}
	dialTCP := func() (net.Conn, error) { return new(net.Dialer).DialContext(t.Context(), "tcp", plain.addr) }
	for _, tt := range []struct {
		name, protocol, early, late string
		dial                        func() (net.Conn, error)
		on                          *program
	}{
		{"TLS, nothing", "HTTP/1.1", "", "", dialTLS, secure},
		{"TLS, a byte", "HTTP/1.1", "", "x", dialTLS, secure},
		{"TLS, a byte right behind the request", "HTTP/1.1", "x", "", dialTLS, secure},
		{"TLS, another request", "HTTP/1.1", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", dialTLS, secure},
		{"HTTP/1.0, a byte", "HTTP/1.0", "", "x", dialTCP, plain},
	} {
		conn, err := tt.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		_, _ = fmt.Fprintf(conn, "GET /stream/channel?name=a %s\r\nHost: x\r\n\r\n", tt.protocol)
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

// TestInputAfterPost: the event loop takes no such connection over, so net/http serves
// its stream.
func TestInputAfterPost(t *testing.T) {
	outcomes := make(chan sse.Outcome, 1)
	serve := watchInput(sse.Serve)
	server := newServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = serve(w, r, new(ssetest.Source), sse.Options{Ended: func(o sse.Outcome) { outcomes <- o }})
	}), nil)
	listener := listenAnywhere(t)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	defer serving.Wait()
	defer func() { _ = server.Close() }()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")
	if head, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(head, "200") {
		t.Fatal(head, err)
	}
	_, _ = io.WriteString(conn, "x")
	_ = conn.Close()
	select {
	case o := <-outcomes:
		if o.Reason != sse.ClientGone {
			t.Errorf("%+v", o)
		}
	case <-time.After(patience):
		t.Error("the client has left, and its stream goes on")
	}
}

// TestTooMuchInput cuts off a client that does not stop.
func TestTooMuchInput(t *testing.T) {
	p := start(t, nil, "--heartbeat", "1h")
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, "GET /stream/channel?name=a HTTP/1.0\r\nHost: x\r\n\r\n")
	in := bufio.NewReader(conn)
	_, _ = in.ReadString('\n')
	_, _ = conn.Write(make([]byte, maxInput+2)) // net/http has the first
	_, _ = io.Copy(io.Discard, in)              // until it is cut off
	p.eventually("it is gone", func() bool { return p.connections() == 0 })
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
