package gohandlers

import (
	"net/http"

	"github.com/labstack/echo/v5"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

func onEcho5(e *echo.Echo, broker pubsub.Broker, options sse.Options) {
	e.Match([]string{http.MethodGet, http.MethodHead}, "/events", func(c *echo.Context) error {
		response, err := echo.UnwrapResponse(c.Response())
		if err != nil {
			return err
		}
		news := broker.Subscribe([]string{"news"}, pubsub.Start{After: sse.LastEventID(c.Request()), Replay: 10})
		return sse.Serve(response.ResponseWriter, c.Request(), news, options)
	})
}
