package routes

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"example.com/sse-demo/routes/job"
)

type progressParams struct {
	Wait *int   `query:"wait" validate:"omitnil,min=0,max=60000"` // ms
	ID   string `query:"id" validate:"required,jobid"`
}

// progress streams the events of a job, whatever its kind. If nobody has started
// it, a GET without an id of an event starts it; a HEAD starts nothing.
func (s *Server) progress(c echo.Context) error {
	var p progressParams
	if err := s.bindQuery(c, &p); err != nil {
		return err
	}
	err := s.stream(c, progressStream, p.Wait, func(lastEventID string) (source, error) {
		return s.watch(c, p.ID, lastEventID)
	})
	if errors.Is(err, job.ErrSeen) { // 204 tells EventSource to stop
		return c.NoContent(http.StatusNoContent)
	}
	return err
}

func (s *Server) watch(c echo.Context, id, lastEventID string) (source, error) {
	ctx := c.Request().Context()
	var watch *job.Watch
	var err error
	if c.Request().Method == http.MethodHead {
		watch, err = s.config.Jobs.Peek(ctx, id, lastEventID)
	} else {
		err = s.write(func() (err error) {
			watch, err = s.config.Jobs.Watch(ctx, id, lastEventID, job.BuildKind)
			return err
		})
	}
	if err != nil {
		return nil, s.jobProblem(err)
	}
	return watch, nil
}
