package routes_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/routes/job"
	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/eventloop"
	"example.com/sse-demo/sse/ssetest"
)

func TestMetricsAndAccessLog(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		s := h.stream("/stream/channel?name=a&lastEventId=x")
		synctest.Wait()
		h.publish("a", "1")
		frame := s.expect(`gap {"after":"x","oldest":null}`, "1")
		want := func(lines ...string) {
			t.Helper()
			synctest.Wait()
			_, _, text := h.answer("GET", "/metrics", "")
			for _, line := range lines {
				if !strings.Contains(text, line+"\n") {
					t.Errorf("no %s", line)
				}
			}
		}
		sent := len(fmt.Sprintf("retry: %d\nevent: gap\ndata: {\"after\":\"x\",\"oldest\":null}\n\nid: %s\ndata: 1\n\n", s.Retry().Milliseconds(), frame.ID))
		want(`sse_connections{stream="channel"} 1`, `sse_connections{stream="tick"} 0`,
			`sse_connections_opened_total{stream="channel"} 1`, `sse_connections_closed_total{reason="client",stream="channel"} 0`,
			`sse_events_sent_total{stream="channel"} 2`, `sse_gaps_total{stream="channel"} 1`, `sse_published_total 1`)
		s.close()
		want(`sse_connections{stream="channel"} 0`, fmt.Sprintf(`sse_bytes_sent_total{stream="channel"} %d`, sent),
			`sse_connections_closed_total{reason="client",stream="channel"} 1`)
		var ended struct {
			Stream, Client, Proto, Reason, Message string
			Events, Bytes                          int
		}
		lines := strings.Split(strings.TrimSpace(h.log.text()), "\n")
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &ended); err != nil || len(lines) != 2 {
			t.Fatal(err, lines)
		}
		if ended.Message != "stream ended" || ended.Stream != "channel" || ended.Reason != "client" || ended.Events != 2 || ended.Bytes != sent {
			t.Errorf("%+v", ended)
		}
	})
}

// brokenBroker fails, or panics.
type brokenBroker struct{ pubsub.Broker }

func (b brokenBroker) Publish(ctx context.Context, channel, name string, data []byte) (pubsub.Receipt, error) {
	switch channel {
	case "panic":
		panic("at the disco")
	case "a":
		return pubsub.Receipt{}, fmt.Errorf("%w: secret address refused", pubsub.ErrNotPublished)
	case "unconfirmed":
		return pubsub.Receipt{}, pubsub.ErrUnconfirmed
	default: // what jobs need
		return b.Broker.Publish(ctx, channel, name, data)
	}
}

func (b brokenBroker) Subscribe(channels []string, start pubsub.Start) pubsub.Subscription {
	if channels[0] == "panic" {
		panic("again")
	}
	return b.Broker.Subscribe(channels, start)
}

func TestFailuresOfTheService(t *testing.T) {
	config := options()
	config.Broker = brokenBroker{config.Broker}
	bubble(t, config, func(h *harness) {
		h.jobs.Kinds["panics"] = job.Kind{Report: func(context.Context, job.Request, func(job.Progress)) error { panic("at work") }}
		if status, _, body := h.answer("POST", "/jobs", `{"kind":"panics","id":"a"}`, jsonType); status != 202 {
			t.Fatal(status, body)
		}
		if events, _ := h.stream("/stream/progress?id=a").watch(); events[len(events)-1].Status != "failed" {
			t.Errorf("%+v", events)
		}
		p := h.problem(503, "POST", "/publish", `{"channel":"a","payload":1}`, jsonType)
		if strings.Contains(p.Detail, "secret") {
			t.Error("the client gets details of the implementation:", p.Detail)
		}
		if strings.Contains(p.Detail, "may still appear") {
			t.Error("it was not published:", p.Detail)
		}
		p = h.problem(503, "POST", "/publish", `{"channel":"unconfirmed","payload":1}`, jsonType)
		if !strings.Contains(p.Detail, "may still appear") {
			t.Error("the answer was lost:", p.Detail)
		}
		for _, r := range []struct{ method, path string }{{"POST", "/publish"}, {"GET", "/stream/channel?name=panic"}} {
			p := h.problem(500, r.method, r.path, `{"channel":"panic","payload":1}`, jsonType)
			if strings.Contains(p.Detail, "disco") || strings.Contains(p.Detail, ".go") {
				t.Error("the client gets details of the implementation:", p.Detail)
			}
		}
		if text := h.log.text(); strings.Count(text, "a handler panicked") != 2 || strings.Count(text, "secret") != 1 {
			t.Error("not logged once for the operator:", text)
		}
		synctest.Wait() // the streams are released
		if got := h.health(); got.Connections["total"] != 0 {
			t.Errorf("%+v", got)
		}
		_, _, text := h.answer("GET", "/metrics", "")
		if !strings.Contains(text, "sse_panics_total 3\n") {
			t.Error("panics are not counted")
		}
	})
}

// panicking is a source with a mistake.
type panicking struct{ sse.Source }

func (panicking) Next([][]byte) ([][]byte, error) { panic("in the source") }

// TestPanicOfSource: the event loop goes on, so the operator reads of it in the log.
func TestPanicOfSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loop := eventloop.New()
		t.Cleanup(loop.Close)
		config := options()
		config.Serve = func(w http.ResponseWriter, r *http.Request, source sse.Source, o sse.Options) error {
			return loop.Serve(w, r, panicking{source}, o)
		}
		h := start(t, config)
		h.answer("GET", "/stream/tick", "")
		synctest.Wait() // the stream has ended
		if text := h.log.text(); !strings.Contains(text, "in the source") || !strings.Contains(text, "panicking.Next") {
			t.Error("the log has no stack:", text)
		}
		if _, _, text := h.answer("GET", "/metrics", ""); !strings.Contains(text, "sse_panics_total 1\n") {
			t.Error("the panic is not counted")
		}
		h.stop()
		<-time.After(time.Second) // net/http lets a refused request linger
	})
}

// TestSpoofedAddress: a client's header is not its address.
func TestSpoofedAddress(t *testing.T) {
	config := options()
	h := start(t, config)
	defer h.stop()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = h.server.Serve(listener) }()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String()+"/stream/tick", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Forwarded-For", "10.9.8.7")
	request.Header.Set("X-Real-Ip", "10.9.8.7")
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ssetest.NewReader(response.Body).Next(); err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if text := h.log.text(); strings.Contains(text, "10.9.8.7") || !strings.Contains(text, `"client":"127.0.0.1"`) {
		t.Error(text)
	}
}
