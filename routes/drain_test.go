package routes_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/sse-demo/pubsub"
)

// lateBroker takes its time to publish.
type lateBroker struct {
	pubsub.Broker
	delay time.Duration
}

func (b lateBroker) Publish(ctx context.Context, channel, name string, data []byte) (pubsub.Receipt, error) {
	<-time.After(b.delay)
	return b.Broker.Publish(ctx, channel, name, data)
}

// TestDrainWaitsForPublishers: a publication that is under way when the service
// drains is acknowledged, and reaches the streams before they end; one that comes
// later is refused.
func TestDrainWaitsForPublishers(t *testing.T) {
	config := options()
	config.Broker = lateBroker{config.Broker, 5 * time.Second}
	bubble(t, config, func(h *harness) {
		s := h.stream("/stream/channel?name=a")
		var running sync.WaitGroup
		defer running.Wait()
		running.Go(func() {
			if status, _, body := h.answer("POST", "/publish", `{"channel":"a","payload":1}`, jsonType); status != 200 {
				h.Error(status, body)
			}
		})
		<-time.After(time.Second) // it is being published
		running.Go(h.app.Drain)
		synctest.Wait()
		running.Go(func() {
			if status, _, body := h.answer("POST", "/publish", `{"channel":"a","payload":2}`, jsonType); status != 503 {
				h.Error(status, body)
			}
		})
		s.expect("1")
		s.ends()
	})
}
