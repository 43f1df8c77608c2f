package routes

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
)

// publishParams are a JSON object, or the query of a request whose body is the payload
// as it stands.
type publishParams struct {
	Channel string          `json:"channel" query:"channel" validate:"required,channel"`
	Event   *string         `json:"event" query:"event" validate:"omitnil,event,unreserved"`
	Payload json.RawMessage `json:"payload" validate:"required"`
}

type publishReply struct {
	Channel   string `json:"channel"`
	ID        string `json:"id"`
	Delivered int    `json:"delivered"`
}

// publish appends an event to a channel.
func (s *Server) publish(c echo.Context) error {
	var p publishParams
	if err := s.readPublication(c, &p); err != nil {
		return err
	}
	if err := mayReach(p.Channel, rightsOf(c).Publish); err != nil {
		return err
	}
	name := ""
	if p.Event != nil {
		name = *p.Event
	}
	if !s.gate.begin(&s.gate.writes) {
		return errDraining
	}
	defer s.gate.writes.Done()
	receipt, err := s.config.Broker.Publish(c.Request().Context(), p.Channel, name, p.Payload)
	if err != nil {
		return err
	}
	s.metrics.published.Inc()
	return c.JSON(http.StatusOK, publishReply{p.Channel, receipt.ID.String(), receipt.Delivered})
}

// readPublication reads what is to be published, in one of its two forms.
func (s *Server) readPublication(c echo.Context, p *publishParams) error {
	media, err := mediaType(c.Request())
	switch {
	case err != nil:
		return err
	case media == echo.MIMETextPlain || media == echo.MIMETextHTML:
		return s.bindText(c, p)
	case media != echo.MIMEApplicationJSON:
		return newProblem(http.StatusUnsupportedMediaType, "the Content-Type must be application/json, text/plain or text/html")
	}
	if err := s.bindBody(c, p); err != nil {
		return err
	}
	var compact bytes.Buffer
	err = json.Compact(&compact, p.Payload)
	p.Payload = compact.Bytes()
	return err
}

func (s *Server) bindText(c echo.Context, p *publishParams) error {
	p.Payload = answerOf(c).body
	switch {
	case len(p.Payload) == 0:
		return invalid([]fieldError{{"body", "required", "body is required: it is the text to publish"}})
	case !utf8.Valid(p.Payload):
		return invalid([]fieldError{{"body", "utf8", "body must be UTF-8"}})
	}
	if err := s.bindQuery(c, p); err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(c.QueryParams()))
	known := []string{"channel", "event", "access_token"}
	return invalid(unknown("query", slices.DeleteFunc(names, func(name string) bool { return slices.Contains(known, name) })))
}
