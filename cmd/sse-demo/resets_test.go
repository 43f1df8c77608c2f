package main

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Frames of HTTP/2 (RFC 9113, section 6) by their types.
const (
	headersFrame  = 1
	resetFrame    = 3
	settingsFrame = 4
	windowFrame   = 8
)

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

func appendFrame(dst []byte, kind, flags byte, stream uint32, payload []byte) []byte {
	dst = append(dst, 0, byte(len(payload)>>8), byte(len(payload)), kind, flags)
	return append(binary.BigEndian.AppendUint32(dst, stream), payload...)
}

// appendGet appends a request.
func appendGet(dst []byte, stream uint32, path string) []byte {
	const get, http = "\x82", "\x86" // of the static table of HPACK (RFC 7541, appendix A)
	literal := func(name, value string) string {
		return "\x00" + string(rune(len(name))) + name + string(rune(len(value))) + value
	}
	block := get + http + literal(":path", path) + literal(":authority", "x")
	const endStream, endHeaders = 1, 4
	return appendFrame(dst, headersFrame, endStream|endHeaders, stream, []byte(block))
}

// appendWindow appends settings by which the server may send so many bytes on each
// stream.
func appendWindow(dst []byte, size uint32) []byte {
	const initialWindow = 4
	return appendFrame(dst, settingsFrame, 0, 0, append([]byte{0, initialWindow}, binary.BigEndian.AppendUint32(nil, size)...))
}

// appendReset appends a request and its reset, as in a "rapid reset"
// (CVE-2023-44487).
func appendReset(dst []byte, stream uint32, path string) []byte {
	return appendFrame(appendGet(dst, stream, path), resetFrame, 0, stream, []byte{0, 0, 0, 8}) // CANCEL
}

// resetRapidly sends so many requests over one connection, each with its reset, and
// returns when the server has closed it, or after all of them.
func resetRapidly(t *testing.T, conn net.Conn, path string, requests int) {
	t.Helper()
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		_, _ = io.Copy(io.Discard, conn)
	}()
	_, err := conn.Write(appendFrame([]byte(preface), settingsFrame, 0, 0, nil))
	for n := 0; n < requests && err == nil; n++ {
		_, err = conn.Write(appendReset(nil, uint32(2*n+1), path))
	}
	if err == nil {
		_ = conn.(interface{ CloseWrite() error }).CloseWrite()
	}
	<-reading
	_ = conn.Close()
}

// TestResets: a client that resets its requests at once has no more of them running,
// or waiting for a handler, than the limits of a connection say; then the connection
// is closed.
func TestResets(t *testing.T) {
	var running, most, all atomic.Int64
	release := make(chan struct{})
	server := newServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		all.Add(1)
		now := running.Add(1)
		defer running.Add(-1)
		for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
		}
		<-release // it does not look at the context of its request
	}))
	server.ErrorLog = log.New(io.Discard, "", 0)
	listener := listenAnywhere(t)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	resetRapidly(t, conn, "/", 20*maxConcurrentStreams)
	close(release)
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	serving.Wait()
	const waiting = 4 * maxConcurrentStreams // by net/http's own rule
	if most.Load() > maxConcurrentStreams || all.Load() > maxConcurrentStreams+waiting || all.Load() == 0 {
		t.Errorf("%d handlers at once, %d in all", most.Load(), all.Load())
	}
}

// TestResetsOfStreams: nothing is left of streams that were reset at once.
func TestResetsOfStreams(t *testing.T) {
	p := start(t, nil)
	before := p.goroutines()
	var storm sync.WaitGroup
	for range 4 {
		storm.Go(func() {
			conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.addr)
			if err != nil {
				t.Error(err)
				return
			}
			resetRapidly(t, conn, "/stream/channel?name=a", 500)
		})
	}
	storm.Wait()
	p.eventually("no stream is counted", func() bool { return p.connections() == 0 })
	p.eventually("no goroutine is left", func() bool { return p.goroutines() <= before })
}

// TestStoppedConnection: a client of HTTP/2 that grants all that it is asked for, and
// stops reading its connection, does not keep the slots of its streams.
func TestStoppedConnection(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "--write-timeout", "200ms")
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	const streams, grant = 20, 1 << 30
	sent := appendWindow([]byte(preface), grant)
	sent = appendFrame(sent, windowFrame, 0, 0, binary.BigEndian.AppendUint32(nil, grant))
	for n := range uint32(streams) {
		sent = appendGet(sent, 2*n+1, "/stream/channel?name=a")
	}
	if _, err := conn.Write(sent); err != nil {
		t.Fatal(err)
	}
	p.eventually("the streams are open", func() bool { return p.connections() == streams })
	payload := `"` + strings.Repeat("x", 60_000) + `"`
	p.eventually("no stream is counted", func() bool {
		if err := p.publish(payload); err != nil {
			t.Fatal(err)
		}
		return p.connections() == 0
	})
}

// noWindow opens connections whose client takes no byte of any answer, and sends
// requests for these paths over them.
func noWindow(t *testing.T, dial func() (net.Conn, error), connections int, paths ...string) {
	t.Helper()
	for range connections {
		conn, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		sent := appendWindow([]byte(preface), 0)
		for i := range uint32(maxConcurrentStreams) {
			sent = appendGet(sent, 2*i+1, paths[int(i)%len(paths)])
		}
		if _, err := conn.Write(sent); err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.Copy(io.Discard, conn) }() // it does read its connection
	}
}

// ordinary are paths whose answers are no streams.
var ordinary = []string{"/metrics", "/health", "/", "/openapi.json", "/nothing", "/stream/tick?interval=1", "/stream/channel"}

// TestNoWindow: handlers do not wait for clients of HTTP/2 that grant no window, with
// and without TLS.
func TestNoWindow(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			args := []string{"--write-timeout", "200ms"}
			dial, client := new(net.Dialer).DialContext, http.DefaultClient
			if scheme == "https" {
				args = append(args, "--tls-cert", cert, "--tls-key", key)
				dial = (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}}).DialContext
				client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
				defer client.CloseIdleConnections()
			}
			p := start(t, nil, args...)
			goroutines := func() float64 {
				return valueIn(t, p.getBy(client, scheme+"://"+p.addr+"/metrics"), "go_goroutines")
			}
			before := goroutines()
			const connections = 4
			noWindow(t, func() (net.Conn, error) { return dial(t.Context(), "tcp", p.addr) }, connections, ordinary...)
			p.eventually("the requests are there", func() bool { return goroutines() > before+maxConcurrentStreams })
			p.eventually("no handler is left", func() bool { return goroutines() < before+5*connections })
		})
	}
}

// TestTermWithNoWindow: such clients do not hold up a shutdown, whatever the timeouts.
func TestTermWithNoWindow(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "--write-timeout", "1h", "--shutdown-timeout", "1h")
	before := p.goroutines()
	noWindow(t, func() (net.Conn, error) { return new(net.Dialer).DialContext(t.Context(), "tcp", p.addr) }, 2, ordinary...)
	p.eventually("the requests are there", func() bool { return p.goroutines() >= before+maxConcurrentStreams })
	p.signal(syscall.SIGTERM)
	p.ends(0)
}

// TestNoWindowForNetHTTP: what net/http answers itself has its time, too.
func TestNoWindowForNetHTTP(t *testing.T) {
	server := newServer(http.NotFoundHandler())
	server.WriteTimeout /= 300
	listener := listenAnywhere(t)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	const requests = 10
	sent := appendWindow([]byte(preface), 0)
	for i := range uint32(requests) { // a field of 3,000 bytes that goes into the table, and then 20 times from there
		long := "\x82\x86\x44\x01/\x40\x01x\x7f\xb9\x16" + strings.Repeat("y", 3000) + strings.Repeat("\xbe", 20)
		sent = appendFrame(sent, headersFrame, 5, 2*i+1, []byte(long))
	}
	if _, err := conn.Write(sent); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	for resets := 0; resets < requests; {
		head := make([]byte, 9)
		if _, err := io.ReadFull(conn, head); err != nil {
			t.Fatalf("%d of %d requests have ended: %v", resets, requests, err)
		}
		if _, err := io.CopyN(io.Discard, conn, int64(head[1])<<8|int64(head[2])); err != nil {
			t.Fatal(err)
		}
		if head[3] == resetFrame {
			resets++
		}
	}
	_ = conn.Close()
	_ = server.Close()
	serving.Wait()
}
