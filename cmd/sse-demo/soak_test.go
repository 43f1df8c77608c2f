package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/sse-demo/sse/ssetest"
)

var soakFor = flag.Duration("soak", 0, "how long TestSoak runs: by default a minute if -run names it, else two seconds")

func soakTime() time.Duration {
	switch {
	case *soakFor > 0:
		return *soakFor
	case strings.Contains(flag.Lookup("test.run").Value.String(), "Soak"):
		return time.Minute
	default:
		return 2 * time.Second
	}
}

const (
	soakPublishers = 3
	soakReaders    = 20
	soakStalled    = 20
	soakRate       = 5 * time.Millisecond // between two events of a publisher
)

// TestSoak mixes all streams, publishers, readers that leave and resume, clients
// that stop reading and clients that reset their connection. In the end every
// reader has every event once and in order, and nothing is left.
func TestSoak(t *testing.T) {
	logFile := filepath.Join(t.TempDir(), "app.log")
	p := start(t, nil, "--log-file", "app="+logFile, "--write-timeout", "1s")
	if err := p.publish(`"first"`); err != nil {
		t.Fatal(err)
	}
	_ = p.open("/stream/tick").Close() // the goroutines of the event loop begin with the first stream
	p.eventually("no connection is counted", func() bool { return p.connections() == 0 })
	goroutines, heap := p.gauge("go_goroutines"), p.gauge("go_memstats_heap_inuse_bytes")

	ctx, cancel := context.WithTimeout(t.Context(), soakTime())
	defer cancel()
	var sent [soakPublishers]atomic.Int64
	var publishing, churning, reading sync.WaitGroup
	for i := range sent {
		publishing.Go(func() { p.publishUntil(ctx, i, &sent[i]) })
	}
	for range 4 {
		churning.Go(func() { p.churn(ctx) })
	}
	churning.Go(func() { appendLines(ctx, t, logFile) })
	var stalled []net.Conn
	for range soakStalled {
		stalled = append(stalled, p.open("/stream/channel?name=a&replay=1000"))
	}
	var reconnects atomic.Int64
	for range soakReaders {
		reading.Go(func() { p.readAll(&sent, &reconnects) })
	}
	publishing.Wait()
	if err := p.publish(`"end"`); err != nil {
		t.Error(err)
	}
	reading.Wait()
	churning.Wait()
	total := sent[0].Load() + sent[1].Load() + sent[2].Load()
	t.Logf("%d events to %d readers, which came back %d times", total, soakReaders, reconnects.Load())

	for _, conn := range stalled {
		_ = conn.Close()
	}
	p.curl("HTTP/1.1", "-X", "DELETE", p.url("/jobs/soak"))
	p.eventually("no connection is counted", func() bool { return p.connections() == 0 })
	p.eventually("no goroutine is left", func() bool {
		http.DefaultClient.CloseIdleConnections()
		return p.gauge("go_goroutines") <= goroutines
	})
	// The history of the channel stays; beyond it, memory is what it was.
	const history = 1 << 20
	const slack = 8 << 20 // what the collector has not taken yet
	p.eventually("memory is back", func() bool { return p.gauge("go_memstats_heap_inuse_bytes") < heap+history+slack })
	t.Logf("heap %.1f MB before, %.1f MB after", heap/1e6, p.gauge("go_memstats_heap_inuse_bytes")/1e6)
}

func (p *program) publishUntil(ctx context.Context, publisher int, sent *atomic.Int64) {
	tick := time.NewTicker(soakRate)
	defer tick.Stop()
	for ctx.Err() == nil {
		if err := p.publish(fmt.Sprintf(`"%d %d"`, publisher, sent.Load())); err != nil {
			p.Error(err)
			return
		}
		sent.Add(1)
		<-tick.C
	}
}

// churn opens all kinds of streams and resets the connection after a few bytes.
func (p *program) churn(ctx context.Context) {
	paths := []string{"tick?interval=100", "log?lines=100", "progress?id=soak", "channel?name=a&replay=100", "channel?name=a&lastEventId=x", "tick?interval=1"}
	for i := 0; ctx.Err() == nil; i++ {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", p.addr)
		if err != nil {
			continue // the time is over
		}
		_, _ = io.WriteString(conn, "GET /stream/"+paths[i%len(paths)]+" HTTP/1.1\r\nHost: x\r\n\r\n")
		_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		_, _ = io.CopyN(io.Discard, conn, rand.Int64N(2000))
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
}

// appendLines writes a log and rotates it.
func appendLines(ctx context.Context, t *testing.T, path string) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = fmt.Fprintf(file, "line %d\n", i)
		_ = file.Close()
		if i%1000 == 999 {
			_ = os.Rename(path, path+".1")
		}
		<-tick.C
	}
}

// readAll follows the channel from its first event to its last, leaving and
// resuming all the time, and checks that each publisher's events come once and in
// order.
func (p *program) readAll(sent *[soakPublishers]atomic.Int64, reconnects *atomic.Int64) {
	var next [soakPublishers]int64
	id := ""
	for {
		conn := p.open("/stream/channel?name=a&replay=1000&lastEventId=" + id)
		_ = conn.SetReadDeadline(time.Now().Add(soakTime() + patience))
		r := readerOf(conn)
		for range 1 + rand.IntN(200) {
			e, err := r.Next()
			if err != nil {
				p.Errorf("after %s: %v", id, err)
				_ = conn.Close()
				return
			}
			id = e.ID
			if e.Data == `"end"` {
				_ = conn.Close()
				for i := range next {
					if next[i] != sent[i].Load() {
						p.Errorf("%d events of publisher %d, which sent %d", next[i], i, sent[i].Load())
					}
				}
				return
			}
			if !p.expect(e, &next) {
				_ = conn.Close()
				return
			}
		}
		_ = conn.Close()
		reconnects.Add(1)
	}
}

func (p *program) expect(e ssetest.Event, next *[soakPublishers]int64) bool {
	if e.Data == `"first"` {
		return true
	}
	var publisher int
	var n int64
	if _, err := fmt.Sscanf(e.Data, `"%d %d"`, &publisher, &n); err != nil || n != next[publisher] {
		p.Errorf("%+v, want one of %d", e, next)
		return false
	}
	next[publisher]++
	return true
}
