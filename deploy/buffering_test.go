package deploy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"example.com/sse-demo/sse/ssetest"
)

// buffering makes nginx hold back every response until it is over, whatever the
// service says: what some companies' proxies do.
var buffering = append([]string{
	"proxy_buffering off; ", "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering; ",
}, "read_timeout 60s", "read_timeout 5s")

// TestPollingThroughABufferingProxy: there a plain stream is mute, and polling
// with wait and the last id delivers everything, once and in order.
func TestPollingThroughABufferingProxy(t *testing.T) {
	t.Parallel() // it mostly waits
	s := service(t)
	s.behindNginx(buffering...)

	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	heard := make(chan error, 1)
	go func() { _, err := s.poll(ctx, "name=a", ""); heard <- err }()
	s.eventually("the stream is open", func() bool { return s.connections() == 1 })
	s.publish("0")
	if err := <-heard; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nginx did not hold the stream back: %v", err)
	}

	const events = 300
	var publishing sync.WaitGroup
	publishing.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for i := range events {
			<-tick.C
			s.publish(fmt.Sprint(i + 1))
		}
	})
	defer publishing.Wait()
	query, id, next, polls := "name=a&replay=1000&wait=1000", "", 0, 0
	for next <= events {
		got, err := s.poll(t.Context(), query, id)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range got {
			var n int
			if err := json.Unmarshal([]byte(e.Data), &n); err != nil || n != next {
				t.Fatalf("%+v, want %d", e, next)
			}
			id = e.ID
			next++
		}
		query, polls = "name=a&wait=1000", polls+1
	}
	if polls < 3 {
		t.Errorf("%d polls: nothing was resumed", polls)
	}
}

// poll reads a response to its end.
func (s *setup) poll(ctx context.Context, query, lastEventID string) (events []ssetest.Event, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/stream/channel?"+query, nil)
	if err != nil {
		return nil, err
	}
	if lastEventID != "" {
		request.Header.Set("Last-Event-ID", lastEventID)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	r := ssetest.NewReader(response.Body)
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return events, nil
		}
		if err != nil {
			return events, err
		}
		events = append(events, e)
	}
}
