package routes

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/labstack/echo/v4"
)

type publishParams struct {
	Channel string          `param:"channel" validate:"required,channel"`
	Event   *string         `param:"event" validate:"omitnil,event"`
	Payload json.RawMessage `param:"payload" validate:"required"`
}

type publishReply struct {
	Channel   string `json:"channel"`
	ID        string `json:"id"`
	Delivered int    `json:"delivered"`
}

// publish appends an event to a channel.
func (s *Server) publish(c echo.Context) error {
	var p publishParams
	if err := s.bindBody(c, &p); err != nil {
		return err
	}
	if err := mayReach(c, func(r *rights) []string { return r.Publish }, p.Channel); err != nil {
		return err
	}
	event := ""
	if p.Event != nil {
		event = *p.Event
	}
	var data bytes.Buffer
	data.Grow(len(p.Payload))
	if err := json.Compact(&data, p.Payload); err != nil {
		return err // bindBody has parsed it
	}
	receipt, err := s.Broker.Publish(c.Request().Context(), p.Channel, event, data.Bytes())
	if err != nil {
		s.Logger.Error().Err(err).Msg("an event was not published")
		return s.unavailable("the event was not published; try again")
	}
	s.metrics.published.Inc()
	return c.JSON(http.StatusOK, publishReply{p.Channel, receipt.ID.String(), receipt.Delivered})
}
