package routes

import (
	"errors"
	"mime"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"example.com/sse-demo/sse"
)

// busy returns err. But if err is a 503 and the client is an EventSource, it answers
// with a stream of one event, busy: EventSource gives up for good at any status but
// 200, and after the end of a stream it comes back by itself. It sends no POST.
func (s *Server) busy(c echo.Context, err error) error {
	p, ok := errors.AsType[*problem](err)
	if !ok || c.Request().Method == http.MethodPost || p.Status != http.StatusServiceUnavailable || !accepts(c.Request(), sse.MediaType) {
		return err
	}
	o := s.config.Stream
	o.Retry = s.busyRetry()
	failed := sse.Serve(c.Response().Writer, c.Request(), sse.SourceOf(sse.MustFrame(sse.Event{Name: "busy", Data: p.json()})), o)
	c.Response().Committed = failed == nil
	return failed
}

// accepts reports whether the request's Accept header names the media type.
func accepts(r *http.Request, media string) bool {
	for _, line := range r.Header.Values(echo.HeaderAccept) {
		for one := range strings.SplitSeq(line, ",") {
			if name, params, err := mime.ParseMediaType(one); err == nil && name == media && params["q"] != "0" {
				return true
			}
		}
	}
	return false
}
