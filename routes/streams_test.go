package routes_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestHead(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		s := h.stream("/stream/channel?name=a", "Accept-Encoding: gzip, br")
		defer s.close()
		for name, want := range map[string]string{
			"Content-Type":      "text/event-stream",
			"Cache-Control":     "no-cache, no-transform",
			"X-Accel-Buffering": "no",
			"Content-Encoding":  "",
		} {
			if got := s.response.Header.Get(name); got != want {
				t.Errorf("%s: %q", name, got)
			}
		}
		first, err := bufio.NewReader(s.response.Body).ReadString('\n')
		if err != nil || !strings.HasPrefix(first, "retry: ") {
			t.Errorf("the first line is %q, %v", first, err)
		}
	})
}

// TestHeartbeat: a comment after 15 s without an event, and no sooner.
func TestHeartbeat(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		s := h.stream("/stream/channel?name=a")
		defer s.close()
		began := time.Now()
		var publishing sync.WaitGroup
		defer publishing.Wait()
		publishing.Go(func() {
			<-time.After(40 * time.Second)
			h.publish("a", "1")
			<-time.After(20 * time.Second)
			h.publish("a", "2")
		})
		s.expect("1")
		if time.Since(began) != 40*time.Second || !slices.Equal(s.Comments, []string{"heartbeat", "heartbeat"}) {
			t.Errorf("%v, %q", time.Since(began), s.Comments)
		}
		s.expect("2")
		if len(s.Comments) != 3 { // one at 55 s
			t.Errorf("%q", s.Comments)
		}
		if len(s.Faults) > 0 {
			t.Error(s.Faults)
		}
	})
}

// TestIdleHTTP2StreamOutlivesTheWriteTimeout: a write deadline that stayed set
// would end it.
func TestIdleHTTP2StreamOutlivesTheWriteTimeout(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		h.useHTTP2()
		s := h.stream("/stream/channel?name=a")
		defer s.close()
		if s.response.ProtoMajor != 2 {
			t.Fatal(s.response.Proto)
		}
		var publishing sync.WaitGroup
		publishing.Go(func() {
			<-time.After(14 * time.Second) // beyond the timeout, before a heartbeat
			h.publish("a", "1")
			<-time.After(86 * time.Second)
			h.publish("a", "2")
		})
		s.expect("1", "2")
		publishing.Wait()
	})
}

// useHTTP2 makes the harness's client speak HTTP/2 by prior knowledge, and returns
// how many connections it has made.
func (h *harness) useHTTP2() (connections func() int) {
	var n atomic.Int64
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		n.Add(1)
		return h.net.Dial(ctx, network, addr)
	}
	transport.Protocols.SetUnencryptedHTTP2(true)
	h.client.CloseIdleConnections()
	h.client = &http.Client{Transport: described{h.T, transport}}
	return func() int { return int(n.Load()) }
}

func TestBusy(t *testing.T) {
	config := options()
	config.MaxStreams = 2
	bubble(t, config, func(h *harness) {
		one, two := h.stream("/stream/channel?name=a"), h.stream("/stream/tick?interval=10000")
		defer two.close()
		h.problem(503, "GET", "/stream/channel?name=a", "")
		h.problem(503, "GET", "/stream/channel?name=a", "", "Accept: */*")
		h.problem(503, "GET", "/stream/channel?name=a", "", "Accept: text/event-stream;q=0, text/html")
		h.problem(503, "GET", "/stream/channel?name=a", "", "Accept: text/event-stream; q=0.000, text/html")
		_, header, _ := h.answer("GET", "/stream/channel?name=a", "")
		if after, err := strconv.Atoi(header.Get("Retry-After")); err != nil || after < 15 || after > 45 {
			t.Errorf("Retry-After: %q", header.Get("Retry-After"))
		}
		for _, accept := range []string{"text/event-stream", "text/html, Text/Event-Stream;q=0.5"} {
			s := h.stream("/stream/channel?name=a", "Accept: "+accept)
			e := s.next()
			var p problem
			if err := json.Unmarshal([]byte(e.Data), &p); err != nil || e.Name != "busy" || e.ID != "" || p.Status != 503 {
				t.Errorf("%+v", e)
			}
			if s.Retry() < 15*time.Second || s.Retry() > 45*time.Second {
				t.Errorf("retry %v", s.Retry())
			}
			s.ends()
		}
		h.problem(422, "GET", "/stream/tick?interval=1", "", "Accept: text/event-stream") // before a slot is taken
		if got := h.health().Connections; got["total"] != 2 || got["channel"] != 1 || got["tick"] != 1 {
			t.Error(got)
		}
		one.close()
		synctest.Wait()
		h.stream("/stream/channel?name=a").close()
	})
}

// TestShutdown: streams end with their final chunk, and a client that comes
// after is asked to come later.
func TestShutdown(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		var open []*stream
		for _, path := range []string{"tick?interval=10000", "channel?name=a", "progress?id=x"} {
			open = append(open, h.stream("/stream/"+path))
		}
		open[0].next()
		open[2].next()
		late, err := h.net.Dial(h.Context(), "", "") // a request that is under way
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		shutdown := make(chan error)
		began := time.Now()
		go func() { shutdown <- h.server.Shutdown(context.Background()) }()
		synctest.Wait()
		for _, path := range []string{"/health", "/stream/tick"} {
			_, _ = fmt.Fprintf(late, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
			response, err := http.ReadResponse(bufio.NewReader(late), nil)
			if err != nil {
				break // Shutdown has closed the connection, which was idle
			}
			body, _ := io.ReadAll(response.Body)
			if response.StatusCode != 503 {
				t.Errorf("%s: %s %s", path, response.Status, body)
			}
			_ = response.Body.Close()
		}
		_ = late.Close()
		if e := open[2].next(); e.Name != "done" || !strings.Contains(e.Data, "was shut down; start it again") {
			t.Errorf("%+v", e)
		}
		for _, s := range open {
			s.ends()
		}
		if err := <-shutdown; err != nil {
			t.Error(err)
		}
		if waited := time.Since(began); waited > 2*time.Second {
			t.Errorf("the shutdown took %v", waited)
		}
		if n := strings.Count(h.log.text(), `"reason":"shutdown"`); n != 2 { // the third by its last event
			t.Errorf("%d of 2 streams ended by the shutdown: %s", n, h.log.text())
		}
	})
}

func TestDraining(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		h.app.Drain()
		status, _, body := h.answer("GET", "/health", "")
		if status != 503 || !strings.Contains(body, `"status":"draining"`) {
			t.Error(status, body)
		}
		h.problem(503, "GET", "/stream/tick", "")
		h.stream("/stream/tick", "Accept: text/event-stream").expect(
			`busy {"type":"about:blank","title":"Service Unavailable","status":503,"detail":"no more streams can be opened now"}`)
		h.problem(503, "POST", "/publish", `{"channel":"a","payload":1}`, jsonType)
		h.problem(503, "POST", "/jobs", "")
	})
}

// TestSlowClient: one that stops reading costs the others nothing, is cut off
// after the write timeout, and resumes, with a gap for what is no longer kept.
func TestSlowClient(t *testing.T) {
	for version, tt := range map[int]struct {
		events int // of 60 kB each
		most   time.Duration
	}{
		1: {30, 12 * time.Second},
		2: {90, 85 * time.Second}, // it has a window of 4 MB before the server must wait, which may still have to be read
	} {
		config := options()
		config.Broker = history{events: 10}
		t.Run(fmt.Sprint("HTTP ", version), func(t *testing.T) {
			bubble(t, config, func(h *harness) { testSlowClient(h, version, tt.events, tt.most) })
		})
	}
}

func testSlowClient(h *harness, version, events int, most time.Duration) {
	if version == 2 {
		h.useHTTP2()
	}
	slow, quick := h.stream("/stream/channel?name=a"), h.stream("/stream/channel?name=a")
	defer slow.close()
	defer quick.close()
	h.publish("a", `"first"`)
	last := slow.expect(`"first"`)
	quick.expect(`"first"`)
	began := time.Now()
	large := `"` + strings.Repeat("x", 60_000) + `"`
	for range events {
		h.publish("a", large)
		quick.expect(large)
	}
	if waited := time.Since(began); waited > 0 {
		h.Errorf("the others had to wait for %v", waited)
	}
	for h.health().Connections["channel"] == 2 && time.Since(began) < 2*time.Minute {
		<-time.After(time.Second)
	}
	if waited := time.Since(began); waited < 9*time.Second || waited > most {
		h.Errorf("cut off after %v", waited)
	}
	if !strings.Contains(h.log.text(), `"reason":"stalled"`) {
		h.Error(h.log.text())
	}
	back := h.stream("/stream/channel?name=a", "Last-Event-ID: "+last.ID)
	defer back.close()
	if e := back.next(); e.Name != "gap" || !strings.Contains(e.Data, last.ID) {
		h.Errorf("%.100v", e)
	}
	for range 10 {
		back.expect(large)
	}
}

// TestSlowButSteadyClient takes its bytes slower than a batch of them would have
// to go within one write timeout.
func TestSlowButSteadyClient(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		s := h.stream("/stream/channel?name=a")
		defer s.close()
		h.publish("a", `"`+strings.Repeat("x", 60_000)+`"`)
		body, read := make([]byte, 1000), 0
		for read < 60_000 {
			<-time.After(time.Second)
			n, err := s.response.Body.Read(body)
			if err != nil {
				t.Fatalf("cut off after %d bytes: %v", read, err)
			}
			read += n
		}
	})
}

// TestAbruptDisconnects: after a thousand clients that leave in all kinds of
// ways, nothing is counted, and the bubble proves that no goroutine is left.
func TestAbruptDisconnects(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		paths := []string{"tick?interval=100", "channel?name=a&replay=5", "progress?id=x", "channel?name=a&lastEventId=no", "tick?interval=0", "none"}
		for i := range 1000 {
			conn, err := h.net.Dial(h.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			request := "GET /stream/" + paths[i%len(paths)] + " HTTP/1.1\r\nHost: x\r\n\r\n"
			switch i % 5 {
			case 0: // leaves in the middle of the request
				request = request[:i%len(request)]
			case 1:
				request = "\x16\x03\x01 rubbish\r\n\r\n"
			}
			go func() { _, _ = io.WriteString(conn, request) }() // the server may answer before it has all
			synctest.Wait()
			_ = conn.SetReadDeadline(time.Now().Add(time.Second))
			_, _ = io.CopyN(io.Discard, conn, int64(i%300)) // leaves before the answer, or in the middle of it
			_ = conn.Close()
			if i%100 == 0 {
				h.publish("a", "1")
			}
		}
		synctest.Wait()
		for name, n := range h.health().Connections {
			if n != 0 {
				t.Errorf("%d of %s", n, name)
			}
		}
		if n := len(h.health().Channels); n != 0 {
			t.Errorf("%d channels have subscribers", n)
		}
		opened, ended := strings.Count(h.log.text(), "stream opened"), strings.Count(h.log.text(), "stream ended")
		if opened == 0 || opened != ended {
			t.Errorf("%d opened, %d ended", opened, ended)
		}
	})
}
