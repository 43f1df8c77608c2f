package gohandlers

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

func onGin(router *gin.Engine, broker pubsub.Broker, options sse.Options) {
	router.Match([]string{http.MethodGet, http.MethodHead}, "/events", func(c *gin.Context) {
		news := broker.Subscribe([]string{"news"}, pubsub.Start{After: sse.LastEventID(c.Request), Replay: 10})
		if err := sse.Serve(c.Writer, c.Request, news, options); err != nil {
			_ = c.AbortWithError(http.StatusInternalServerError, err)
		}
	})
}
