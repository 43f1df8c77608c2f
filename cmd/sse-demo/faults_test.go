package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/sse-demo/sse/ssetest"
)

// TestFileDescriptorsRunOut: new connections wait, and are served when others
// have left.
func TestFileDescriptorsRunOut(t *testing.T) {
	p := startCommand(t, func(cmd *exec.Cmd) {
		cmd.Args = append([]string{"sh", "-c", `ulimit -n 40; exec "$@"`, "sh"}, cmd.Args...)
		cmd.Path = ssetest.Need(t, "sh", "dash")
	})
	var conns []net.Conn
	dial := func() net.Conn {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, "GET /stream/tick?interval=10000 HTTP/1.1\r\nHost: x\r\n\r\n")
		return conn
	}
	for range 60 {
		conns = append(conns, dial())
	}
	p.eventually("accepting fails", func() bool { return strings.Contains(p.stderr.text(), "too many open files") })
	for _, conn := range conns {
		_ = conn.Close()
	}
	p.eventually("it has recovered", func() bool { return p.connections() == 0 })
	conn := dial()
	defer func() { _ = conn.Close() }()
	if _, err := ssetest.NewReader(conn).Next(); err != nil {
		t.Error(err)
	}
	p.signal(syscall.SIGTERM)
	p.ends(0)
}

func TestHeaderSize(t *testing.T) {
	p := start(t, nil)
	for size, want := range map[int]string{20 << 10: "200", 200 << 10: "431"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url("/health"), nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Long", strings.Repeat("x", size))
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if !strings.HasPrefix(response.Status, want) {
			t.Errorf("a header of %d bytes: %s", size, response.Status)
		}
	}
}

// TestRestartWithManyClients ends a service with 2,000 clients while publishers
// run. All come back to a new process with their last id, and get everything
// that is published there, once; their delays are spread over the whole range.
func TestRestartWithManyClients(t *testing.T) {
	const clients, events = 2000, 20
	p := start(t, nil)
	type client struct {
		retry time.Duration
		id    string
	}
	seen := make([]client, clients)
	var reading, first sync.WaitGroup
	for i := range seen {
		first.Add(1)
		conn := p.open("/stream/channel?name=a")
		reading.Go(func() {
			defer func() { _ = conn.Close() }()
			r := readerOf(conn)
			for n := 0; ; n++ {
				_, err := r.Next()
				if n == 0 {
					first.Done()
				}
				if err != nil {
					if !errors.Is(err, io.EOF) {
						t.Errorf("client %d: %v", i, err)
					}
					break
				}
			}
			seen[i] = client{r.Retry(), r.LastEventID()}
		})
	}
	var publishing sync.WaitGroup
	for range 2 {
		publishing.Go(func() {
			for p.publish(`"before"`) == nil { // until the service has gone
			}
		})
	}
	first.Wait()
	began := time.Now()
	p.signal(syscall.SIGTERM)
	reading.Wait()
	p.ends(0)
	publishing.Wait()
	t.Logf("%d streams ended in %v", clients, time.Since(began))

	slices.SortFunc(seen, func(a, b client) int { return int(a.retry - b.retry) })
	t.Logf("delays: least %v, 10 %% below %v, median %v, 90 %% below %v, greatest %v",
		seen[0].retry, seen[clients/10].retry, seen[clients/2].retry, seen[clients*9/10].retry, seen[clients-1].retry)
	for i := range 10 { // each tenth of 1.5 s to 4.5 s has its share
		low := 1500*time.Millisecond + time.Duration(i)*300*time.Millisecond
		n := 0
		for _, c := range seen {
			if c.retry >= low && c.retry < low+300*time.Millisecond {
				n++
			}
		}
		if n < clients/10/2 || n > clients/10*2 {
			t.Errorf("%d of %d clients come back between %v and %v", n, clients, low, low+300*time.Millisecond)
		}
	}

	p = start(t, nil)
	for i, c := range seen {
		conn := p.open("/stream/channel?name=a&lastEventId=" + c.id)
		reading.Go(func() {
			defer func() { _ = conn.Close() }()
			r := readerOf(conn)
			for n := -1; n < events; n++ {
				e, err := r.Next()
				if err != nil || n < 0 && e.Name != "gap" || n >= 0 && e.Data != fmt.Sprint(n) {
					t.Errorf("client %d: event %d is %+v, %v", i, n, e, err)
					return
				}
			}
		})
	}
	for n := range events {
		if err := p.publish(fmt.Sprint(n)); err != nil {
			t.Fatal(err)
		}
	}
	reading.Wait()
}

// TestFloods: many names leave the memory bounded, and the figure in the test's
// log.
func TestFloods(t *testing.T) {
	p := start(t, nil, "--history-bytes", "4MiB")
	before := p.gauge("go_memstats_heap_inuse_bytes")
	var flooding sync.WaitGroup
	for worker := range 8 {
		flooding.Go(func() {
			for i := range 1250 {
				name := fmt.Sprintf("%d-%d", worker, i)
				_, _ = p.post("/publish", `{"channel":"`+name+`","payload":"`+strings.Repeat("x", 1000)+`"}`)
				if i%10 == 0 {
					_, _ = p.post("/jobs", `{"id":"`+name+`","durationMs":600000}`)
					_ = p.open("/stream/tick?symbol=" + strings.ReplaceAll(name, "-", ".")).Close()
				}
			}
		})
	}
	flooding.Wait()
	p.eventually("no connection is counted", func() bool { return p.connections() == 0 })
	const bound = 40 << 20 // 4 MiB of history, 256 jobs, and what the collector has not taken yet
	after := p.gauge("go_memstats_heap_inuse_bytes")
	t.Logf("10,000 channels, 1,000 jobs asked for, 1,000 symbols: heap %.1f MB before, %.1f MB after", before/1e6, after/1e6)
	if after > before+bound {
		t.Errorf("the heap has grown from %.1f MB to %.1f MB", before/1e6, after/1e6)
	}
}

// readerOf reads the stream of an HTTP answer whose first bytes were read.
func readerOf(conn net.Conn) *ssetest.Reader {
	head := io.MultiReader(strings.NewReader("HTTP/1.1 200 OK\r"), conn)
	response, err := http.ReadResponse(bufio.NewReader(head), nil)
	if err != nil {
		panic(err)
	}
	return ssetest.NewReader(response.Body) //nolint:bodyclose // the connection is closed
}
