package routes

import (
	"cmp"
	"maps"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"
)

// maxHealthChannels is how many channels /health lists.
const maxHealthChannels = 100

type healthReply struct {
	Status        string           `json:"status"` // ok, degraded or draining
	Version       string           `json:"version"`
	UptimeSeconds float64          `json:"uptimeSeconds"`
	Connections   map[string]int64 `json:"connections"`       // open streams, by name and in total
	Channels      map[string]int   `json:"channels,omitzero"` // subscribers of those that have most; nil if names may be secrets
	Broker        string           `json:"broker"`
}

// health reports to load balancers and people how the service is.
func (s *Server) health(c echo.Context) error {
	reply := healthReply{
		Status:        "ok",
		Version:       s.config.Version,
		UptimeSeconds: math.Round(time.Since(s.started).Seconds()*10) / 10,
		Connections:   map[string]int64{},
		Broker:        s.config.Broker.Kind(),
	}
	for name, stream := range s.metrics.streams {
		n := stream.open.Load()
		reply.Connections[name] = n
		reply.Connections["total"] += n
	}
	if len(s.config.JWTSecret) == 0 {
		reply.Channels = busiest(s.config.Broker.Subscribers(), maxHealthChannels)
	}
	status := http.StatusOK
	if s.config.Broker.Err() != nil {
		reply.Status = "degraded"
	}
	if s.isDraining() {
		reply.Status, status = "draining", http.StatusServiceUnavailable
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(status, reply)
}

// busiest returns the n channels with most subscribers.
func busiest(channels map[string]int, n int) map[string]int {
	if len(channels) <= n {
		return channels
	}
	names := slices.SortedFunc(maps.Keys(channels), func(a, b string) int {
		return cmp.Or(cmp.Compare(channels[b], channels[a]), cmp.Compare(a, b))
	})
	for _, name := range names[n:] {
		delete(channels, name)
	}
	return channels
}
