package routes

import (
	"github.com/labstack/echo/v4"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

type channelParams struct {
	Wait   *int     `query:"wait" validate:"omitnil,min=0,max=60000"` // ms
	Names  []string `query:"name" validate:"required,max=32,dive,channel"`
	Replay int      `query:"replay" validate:"min=0,max=1000"`
}

// channel streams what is published to one or more channels.
func (s *Server) channel(c echo.Context) error {
	var p channelParams
	if err := s.bindQuery(c, &p); err != nil {
		return err
	}
	for _, name := range p.Names {
		if err := mayReach(name, rightsOf(c).Subscribe); err != nil {
			return err
		}
	}
	return s.stream(c, channelStream, p.Wait, func(lastEventID string) (sse.Source, error) {
		return s.config.Broker.Subscribe(p.Names, pubsub.Start{After: lastEventID, Replay: p.Replay}), nil
	})
}
