package routes

import (
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/sse-demo/routes/job"
)

// defaultDuration is that of a job for which none is given.
const defaultDuration = 12 * time.Second

type progressParams struct {
	finiteParams
	ID string `query:"id" validate:"required,jobid"`
}

// progress streams the events of a job, starting it if nobody has.
func (s *Server) progress(c echo.Context) error {
	var p progressParams
	if err := s.bindQuery(c, &p); err != nil {
		return err
	}
	err := s.stream(c, progressStream, p.finiteParams, func(lastEventID string) (source, error) {
		watch, err := s.config.Jobs.Watch(c.Request().Context(), p.ID, lastEventID, job.Demo(defaultDuration))
		if err != nil {
			return nil, s.jobProblem(err)
		}
		return watch, nil
	})
	if errors.Is(err, job.ErrOver) { // 204 tells EventSource to stop
		return c.NoContent(http.StatusNoContent)
	}
	return err
}
