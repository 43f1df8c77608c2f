package routes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
	"github.com/rs/zerolog"

	"example.com/sse-demo/pubsub"
)

// publishJSON is a publication as a JSON object.
type publishJSON struct {
	Channel string          `json:"channel" validate:"required,channel"`
	Event   *string         `json:"event" validate:"omitnil,event,unreserved"`
	Payload json.RawMessage `json:"payload" validate:"required"`
}

// publishText is what the query says of a publication whose body is the data as
// it stands.
type publishText struct {
	Channel string  `query:"channel" validate:"required,channel"`
	Event   *string `query:"event" validate:"omitnil,event,unreserved"`
}

type publishReply struct {
	Channel   string `json:"channel"`
	ID        string `json:"id"`
	Delivered int    `json:"delivered"`
}

// A publication is what is to be published.
type publication struct {
	channel string
	event   *string // nil for none
	data    []byte
}

// publish appends an event to a channel.
func (s *Server) publish(c echo.Context) error {
	p, err := s.publication(c)
	if err != nil {
		return err
	}
	if err := mayPublish(c, p.channel); err != nil {
		return err
	}
	name := ""
	if p.event != nil {
		name = *p.event
	}
	var receipt pubsub.Receipt
	err = s.write(func() (err error) {
		receipt, err = s.config.Broker.Publish(c.Request().Context(), p.channel, name, p.data)
		return s.publishProblem(err)
	})
	if err != nil {
		return err
	}
	s.metrics.published.Inc()
	return c.JSON(http.StatusOK, publishReply{p.channel, receipt.ID.String(), receipt.Delivered})
}

// publication reads what is to be published, in one of its two forms.
func (s *Server) publication(c echo.Context) (publication, error) {
	media, err := mediaType(c.Request())
	if err != nil {
		return publication{}, err
	}
	switch media {
	case echo.MIMETextPlain, echo.MIMETextHTML:
		return s.textPublication(c)
	case echo.MIMEApplicationJSON:
		return s.jsonPublication(c)
	default:
		return publication{}, newProblem(http.StatusUnsupportedMediaType, "the Content-Type must be application/json, text/plain or text/html")
	}
}

func (s *Server) jsonPublication(c echo.Context) (publication, error) {
	var p publishJSON
	if err := s.bindBody(c, &p); err != nil {
		return publication{}, err
	}
	var compact bytes.Buffer
	compact.Grow(len(p.Payload))
	if err := json.Compact(&compact, p.Payload); err != nil {
		return publication{}, fmt.Errorf("a payload that was parsed before: %w", err)
	}
	return publication{p.Channel, p.Event, compact.Bytes()}, nil
}

func (s *Server) textPublication(c echo.Context) (publication, error) {
	var p publishText
	if err := s.bindQuery(c, &p); err != nil {
		return publication{}, err
	}
	if err := refuseUnknown(c.QueryParams(), "channel", "event", "access_token"); err != nil {
		return publication{}, err
	}
	data, err := io.ReadAll(c.Request().Body)
	switch {
	case err != nil:
		return publication{}, fmt.Errorf("read the body: %w", err)
	case len(data) == 0:
		return publication{}, invalid(fieldError{"body", "required", "body is required: it is the text to publish"})
	case !utf8.Valid(data):
		return publication{}, invalid(fieldError{"body", "utf8", "body must be UTF-8"})
	}
	return publication{p.Channel, p.Event, data}, nil
}

// refuseUnknown returns a problem if the query has other parameters than these.
func refuseUnknown(query url.Values, known ...string) error {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(query)), func(name string) bool { return slices.Contains(known, name) })
	if len(names) > 0 {
		return invalid(unknown("query", names)...)
	}
	return nil
}

// publishProblem is the answer to an error of the broker, nil for none.
func (s *Server) publishProblem(err error) error {
	if err == nil {
		return nil
	}
	level := zerolog.ErrorLevel
	if errors.Is(err, context.Canceled) { // the publisher has left; nothing is wrong with the broker
		level = zerolog.DebugLevel
	}
	s.config.Logger.WithLevel(level).Err(err).Msg("an event was not published, or not confirmed")
	if errors.Is(err, pubsub.ErrUnconfirmed) {
		return s.unavailable("the broker did not confirm the event; it may still appear, so publishing it again may publish it twice")
	}
	return s.unavailable("the event was not published; try again")
}
