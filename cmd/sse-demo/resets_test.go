package main

import (
	"encoding/binary"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
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
	}), nil)
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
	p := start(t, nil, "--write-timeout", "100ms")
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	const initialWindow, streams = 4, 20
	grant := binary.BigEndian.AppendUint32(nil, 1<<30)
	sent := appendFrame([]byte(preface), settingsFrame, 0, 0, append([]byte{0, initialWindow}, grant...))
	sent = appendFrame(sent, windowFrame, 0, 0, grant)
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
