package gohandlers

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

func onEcho4(e *echo.Echo, broker pubsub.Broker, options sse.Options) {
	e.Match([]string{http.MethodGet, http.MethodHead}, "/events", func(c echo.Context) error {
		news := broker.Subscribe([]string{"news"}, pubsub.Start{After: sse.LastEventID(c.Request()), Replay: 10})
		return sse.Serve(c.Response().Writer, c.Request(), news, options)
	})
}
