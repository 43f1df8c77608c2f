package routes_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/ssetest"
)

// all reads a stream to its end.
func (s *stream) all() (events []ssetest.Event) {
	s.h.Helper()
	defer s.close()
	for {
		e, err := s.Next()
		if errors.Is(err, io.EOF) {
			return events
		}
		if err != nil {
			s.h.Fatal("the stream is cut off: ", err)
		}
		events = append(events, e)
	}
}

func (h *harness) expectAll(path string, want ...string) {
	h.Helper()
	var got []string
	for _, e := range h.stream(path).all() {
		got = append(got, e.Data)
	}
	if !slices.Equal(got, want) {
		h.Errorf("%s: %q, want %q", path, got, want)
	}
}

// TestWait: a finite stream ends after its first batch, or when its time is over.
func TestWait(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		took := func(path string, want ...string) time.Duration {
			t.Helper()
			began := time.Now()
			h.expectAll(path, want...)
			return time.Since(began)
		}
		h.publish("a", "1")
		h.publish("a", "2")
		if d := took("/stream/channel?name=a&wait=0"); d != 0 {
			t.Error("nothing to send:", d)
		}
		if d := took("/stream/channel?name=a&wait=60000&replay=1", "2"); d != 0 {
			t.Error("something to send:", d)
		}
		if d := took("/stream/channel?name=a&wait=2500"); d != 2500*time.Millisecond {
			t.Error("nothing in time:", d)
		}
		var publishing sync.WaitGroup
		publishing.Go(func() {
			<-time.After(3 * time.Second)
			h.publish("a", "3")
		})
		if d := took("/stream/channel?name=a&wait=60000", "3"); d != 3*time.Second {
			t.Error("the first event:", d)
		}
		publishing.Wait()
		if n := len(h.stream("/stream/tick?wait=0&interval=10000").all()); n != 1 {
			t.Errorf("%d ticks, want the present one", n)
		}
		for _, path := range []string{"tick?", "channel?name=a&", "progress?id=x&"} {
			for value, rule := range map[string]string{"-1": "min", "60001": "max", "x": "number", "": "number", "1&wait=2": "once"} {
				if p := h.problem(422, "GET", "/stream/"+path+"wait="+value, ""); p.rules() != "wait "+rule {
					t.Errorf("%s wait=%s: %s", path, value, p.rules())
				}
			}
		}
	})
}

// TestWaitSendsAllThatIsThere: in however many batches, and no more than that.
func TestWaitSendsAllThatIsThere(t *testing.T) {
	const events = 300
	bubble(t, options(), func(h *harness) {
		before := h.publish("a", "0")
		var all []string
		for n := range events {
			all = append(all, strconv.Itoa(n+1))
			h.publish("a", all[n])
		}
		for _, query := range []string{"replay=300", "lastEventId=" + before} {
			for _, wait := range []string{"0", "1", "60000"} {
				h.expectAll("/stream/channel?name=a&wait="+wait+"&"+query, all...)
			}
		}
		h.expectAll("/stream/channel?name=a&replay=1000&wait=0", append([]string{"0"}, all...)...)
	})
}

// TestWaitEndsWhilePublishing: what is published meanwhile does not keep a finite
// stream open.
func TestWaitEndsWhilePublishing(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		publish := func(events int) {
			for range events {
				h.publish("a", strings.Repeat("1", 1000))
			}
		}
		publish(500)
		stream := h.stream("/stream/channel?name=a&replay=500&wait=60000")
		n := 0
		for {
			if _, err := stream.Next(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if n++; n%2 == 0 {
				publish(1)
			}
		}
		if n < 500 || n > 600 {
			t.Errorf("%d events, of which 500 were there", n)
		}
	})
}

// TestLongPolling: a client that asks again with its last id gets every event
// once, in order, whatever is published meanwhile.
func TestLongPolling(t *testing.T) {
	const events = 500
	bubble(t, options(), func(h *harness) {
		var publishing sync.WaitGroup
		defer publishing.Wait()
		first := h.stream("/stream/channel?name=a&wait=0")
		last := first.response.Header.Get("Last-Event-ID")
		first.all()
		publishing.Go(func() {
			for n := range events {
				h.publish("a", strconv.Itoa(n))
				if n%7 == 0 {
					<-time.After(time.Duration(n) * time.Millisecond)
				}
			}
		})
		for next := 0; next < events; {
			for _, e := range h.stream("/stream/channel?name=a&wait=30000&lastEventId=" + last).all() {
				if e.Data != strconv.Itoa(next) {
					t.Fatalf("%s, want %d", e.Data, next)
				}
				last, next = e.ID, next+1
			}
		}
	})
}

// TestHeaders: every stream has the same head, and HEAD answers with it, opens
// nothing, starts nothing and is not counted.
func TestHeaders(t *testing.T) {
	config := options()
	config.MaxStreams = 1
	bubble(t, config, func(h *harness) {
		for _, path := range []string{"/stream/tick", "/stream/channel?name=a", "/stream/progress?id=x"} {
			head := h.do("HEAD", path, "")
			_ = head.Body.Close()
			synctest.Wait()
			s := h.stream(path)
			position := s.response.Header.Get("Last-Event-ID")
			for _, name := range []string{"Content-Type", "Cache-Control", "X-Accel-Buffering", "SSE-Heartbeat"} {
				if got, want := head.Header.Get(name), s.response.Header.Get(name); got != want || want == "" {
					t.Errorf("HEAD %s: %s is %q, of GET %q", path, name, got, want)
				}
			}
			if s.response.Header.Get("SSE-Heartbeat") != "15000" || position == "" {
				t.Errorf("%s: %v", path, s.response.Header)
			}
			s.close()
			synctest.Wait()
		}
		if n := h.health().Connections["total"]; n != 0 {
			t.Errorf("%d streams are open", n)
		}
		_, _, metrics := h.answer("GET", "/metrics", "")
		for _, name := range []string{"tick", "channel", "progress"} {
			if line := fmt.Sprintf("sse_connections_opened_total{stream=%q} 1\n", name); !strings.Contains(metrics, line) {
				t.Error("/metrics has no", line)
			}
		}
	})
}

// TestPosition: a client that is cut off before its first event resumes at the
// response's Last-Event-ID and has lost nothing.
func TestPosition(t *testing.T) {
	for path, want := range map[string][]string{
		"channel?name=a&name=b&replay=2": {"1", "2", "3"},
		"channel?name=a&replay=1":        {"1", "2", "3"}, // 2 is of another channel
		"channel?name=a":                 {"3"},
		"channel?name=b&name=a":          {"3"},
		"channel?name=a&lastEventId=x":   {"1", "2", "3"}, // after a gap that it has not seen
	} {
		bubble(t, options(), func(h *harness) {
			h.publish("a", "1")
			h.publish("b", "2")
			cut := h.stream("/stream/" + path)
			position := cut.response.Header.Get("Last-Event-ID")
			cut.close()
			h.publish("a", "3")
			h.expectAll("/stream/channel?name=a&name=b&wait=0&lastEventId="+position, want...)
		})
	}
}

// TestMaxAge: streams end cleanly at an age that differs by up to a tenth.
func TestMaxAge(t *testing.T) {
	config := options()
	config.MaxAge = 100 * time.Second
	bubble(t, config, func(h *harness) {
		began := time.Now()
		var streams []*stream
		for range 20 {
			streams = append(streams, h.stream("/stream/channel?name=a"))
		}
		ages := map[time.Duration]bool{}
		var ending sync.WaitGroup
		var mu sync.Mutex
		for _, s := range streams {
			ending.Go(func() {
				s.all()
				mu.Lock()
				defer mu.Unlock()
				ages[time.Since(began).Truncate(time.Second)] = true
			})
		}
		ending.Wait()
		for age := range ages {
			if age < 90*time.Second || age > 110*time.Second {
				t.Errorf("a stream ended at the age of %v", age)
			}
		}
		if len(ages) < 5 {
			t.Errorf("all streams end at once: %v", ages)
		}
	})
}

// TestTimeoutMiddleware: a middleware around the service that limits the time of every
// request ends a stream as its maximum age would.
func TestTimeoutMiddleware(t *testing.T) {
	config := options()
	config.Serve = func(w http.ResponseWriter, r *http.Request, source sse.Source, o sse.Options) error {
		ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
		defer cancel()
		return sse.Serve(w, r.WithContext(ctx), source, o)
	}
	synctest.Test(t, func(t *testing.T) {
		h := start(t, config)
		h.stream("/stream/channel?name=a").all()
		synctest.Wait()
		if _, _, text := h.answer("GET", "/metrics", ""); !strings.Contains(text, `sse_connections_closed_total{reason="aged",stream="channel"} 1`) {
			t.Error("not counted")
		}
		h.stop()
	})
}

// TestPublishText: the body is the data as it stands.
func TestPublishText(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		s := h.stream("/stream/channel?name=a")
		defer s.close()
		for _, tt := range []struct{ query, media, body, want string }{
			{"?channel=a", "text/plain", "two\nlines", "two\nlines"},
			{"?channel=a&event=row", "text/html; charset=utf-8", "<li class=\"h\">1</li>\r\n<li>\r2</li>\n", "row <li class=\"h\">1</li>\n<li>\n2</li>\n"},
			{"?channel=a", "text/plain", "data: x\n\nid: 1\n\n", "data: x\n\nid: 1\n\n"},
			{"?channel=a", "Text/Plain", " ", " "},
		} {
			status, _, reply := h.answer("POST", "/publish"+tt.query, tt.body, "Content-Type: "+tt.media)
			var receipt struct{ Channel, ID string }
			if err := json.Unmarshal([]byte(reply), &receipt); err != nil || status != 200 || receipt.Channel != "a" {
				t.Fatal(status, reply)
			}
			if e := s.expect(tt.want); e.ID != receipt.ID {
				t.Errorf("%+v, published as %s", e, receipt.ID)
			}
		}
		for _, tt := range []struct{ query, body, want string }{
			{"", "x", "channel required"},
			{"?channel=", "x", "channel required"},
			{"?channel=-", "x", "channel channel"},
			{"?channel=a&event=", "x", "event event"},
			{"?channel=a&event=gap", "x", "event unreserved"},
			{"?channel=a&evnt=b", "x", "evnt unknown"},
			{"?channel=a", "", "body required"},
			{"?channel=a", "\xff", "body utf8"},
		} {
			if p := h.problem(422, "POST", "/publish"+tt.query, tt.body, "Content-Type: text/plain"); p.rules() != tt.want {
				t.Errorf("%+v: %s", tt, p.rules())
			}
		}
	})
}

// TestReservedNames: these would be taken for something else by clients.
func TestReservedNames(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		for _, name := range []string{"gap", "busy", "open", "error"} {
			p := h.problem(422, "POST", "/publish", fmt.Sprintf(`{"channel":"a","payload":1,"event":%q}`, name), jsonType)
			if p.rules() != "event unreserved" {
				t.Error(name, p.rules())
			}
		}
		for _, name := range []string{"message", "Error", "gap1"} {
			status, _, reply := h.answer("POST", "/publish", fmt.Sprintf(`{"channel":"a","payload":1,"event":%q}`, name), jsonType)
			if status != 200 {
				t.Error(name, reply)
			}
		}
	})
}

// TestHealthIsBounded, and names no channel if names may be secrets.
func TestHealthIsBounded(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		defer h.stream("/stream/channel?name=c0").close()
		for i := range 110 {
			defer h.stream(fmt.Sprintf("/stream/channel?name=c%d", i)).close()
		}
		got := h.health()
		if len(got.Channels) != 100 || got.Channels["c0"] != 2 || got.Connections["channel"] != 111 {
			t.Errorf("%d channels, %+v", len(got.Channels), got)
		}
	})
	config := options()
	config.JWTSecret = []byte(secret)
	bubble(t, config, func(h *harness) {
		if _, _, body := h.answer("GET", "/health", ""); strings.Contains(body, "channels") {
			t.Error(body)
		}
	})
}
