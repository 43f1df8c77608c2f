package routes

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"example.com/sse-demo/routes/job"
	"example.com/sse-demo/sse"
)

type progressParams struct {
	Wait *int   `query:"wait" validate:"omitnil,min=0,max=60000"` // ms
	ID   string `query:"id" validate:"required,jobid"`
}

// progress streams the events of a job, whatever its kind. A GET starts a job that
// nobody has started, unless a page of another site sends it; a HEAD starts nothing.
func (s *Server) progress(c echo.Context) error {
	var p progressParams
	if err := s.bindQuery(c, &p); err != nil {
		return err
	}
	err := s.stream(c, progressStream, p.Wait, func(lastEventID string) (sse.Source, error) {
		return s.watch(c, p.ID, lastEventID)
	})
	if errors.Is(err, job.ErrSeen) { // 204 tells EventSource to stop
		return c.NoContent(http.StatusNoContent)
	}
	return err
}

func (s *Server) watch(c echo.Context, id, lastEventID string) (sse.Source, error) {
	r := c.Request()
	for {
		watch, err := s.config.Jobs.Watch(r.Context(), id, lastEventID)
		if !errors.Is(err, job.ErrNone) {
			return watch, err
		}
		asPost := r.WithContext(r.Context()) // to start a job is to change something
		asPost.Method = http.MethodPost
		if s.crossOrigin.Check(asPost) != nil {
			return nil, errCrossSite
		}
		if r.Method == http.MethodHead {
			return sse.SourceOf(), s.config.Jobs.Ready()
		}
		started, err := s.config.Jobs.Start(r.Context(), id, job.BuildKind, job.Request{})
		switch {
		case err == nil:
			started.Close()
		case !errors.Is(err, job.ErrRunning): // another client was faster
			return nil, err
		}
	}
}
