package routes

import (
	"math"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/sse-demo/pubsub"
)

// maxHealthChannels is how many channels /health lists.
const maxHealthChannels = 100

type healthReply struct {
	Status        string           `json:"status"` // ok, degraded or draining
	Version       string           `json:"version"`
	UptimeSeconds float64          `json:"uptimeSeconds"`
	Connections   map[string]int64 `json:"connections"`       // open streams, by name and in total
	Channels      map[string]int   `json:"channels,omitzero"` // subscribers of up to maxHealthChannels; nil if names may be secrets
	Broker        string           `json:"broker"`
}

// health reports to load balancers and people how the service is.
func (s *Server) health(c echo.Context) error {
	reply := healthReply{
		Status:        "ok",
		Version:       s.config.Version,
		UptimeSeconds: math.Round(time.Since(s.started).Seconds()*10) / 10,
		Connections:   map[string]int64{},
		Broker:        s.config.BrokerKind,
	}
	for name, stream := range s.metrics.streams {
		n := stream.open.Load()
		reply.Connections[name] = n
		reply.Connections["total"] += n
	}
	broker, counts := s.config.Broker.(interface {
		Subscribers(limit int) map[string]int
	})
	if counts && len(s.config.JWTSecret) == 0 {
		reply.Channels = broker.Subscribers(maxHealthChannels)
	}
	status := http.StatusOK
	if brokerErr(s.config.Broker) != nil {
		reply.Status = "degraded"
	}
	if s.gate.isDraining() {
		reply.Status, status = "draining", http.StatusServiceUnavailable
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	return c.JSON(status, reply)
}

// brokerErr returns why events cannot be published at present; nil if they can, or if the
// broker depends on nothing.
func brokerErr(broker pubsub.Broker) error {
	if broker, ok := broker.(interface{ Err() error }); ok {
		return broker.Err()
	}
	return nil
}
