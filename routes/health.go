package routes

import (
	"math"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

type healthReply struct {
	Status        string           `json:"status"` // ok, degraded or draining
	Version       string           `json:"version"`
	UptimeSeconds float64          `json:"uptimeSeconds"`
	Connections   map[string]int64 `json:"connections"` // open streams, by name and in total
	Channels      map[string]int   `json:"channels"`    // subscribers of those that have any
	Broker        string           `json:"broker"`
}

// health tells load balancers and the curious how the service is.
func (s *Server) health(c echo.Context) error {
	reply := healthReply{
		Status:        "ok",
		Version:       s.Version,
		UptimeSeconds: math.Round(time.Since(s.started).Seconds()*10) / 10,
		Connections:   map[string]int64{},
		Channels:      s.Broker.Subscribers(),
		Broker:        s.Broker.Kind(),
	}
	for name, stream := range s.metrics.streams {
		n := stream.open.Load()
		reply.Connections[name] = n
		reply.Connections["total"] += n
	}
	status := http.StatusOK
	if s.Broker.Err() != nil {
		reply.Status = "degraded"
	}
	if s.isDraining() {
		reply.Status, status = "draining", http.StatusServiceUnavailable
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(status, reply)
}
