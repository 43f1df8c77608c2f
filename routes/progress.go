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
	for {
		watch, err := s.config.Jobs.Watch(c.Request().Context(), id, lastEventID)
		if err == nil {
			return watch, nil
		}
		if !errors.Is(err, job.ErrNone) {
			return nil, s.jobProblem(err)
		}
		if err := s.mayWrite(writing(c.Request())); err != nil {
			return nil, err
		}
		if c.Request().Method == http.MethodHead {
			return sse.SourceOf(), s.jobProblem(s.config.Jobs.Ready())
		}
		if err := s.startBuild(c, id); err != nil && !errors.Is(err, job.ErrRunning) { // another client was faster
			return nil, s.jobProblem(err)
		}
	}
}

func (s *Server) startBuild(c echo.Context, id string) error {
	return s.write(func() error {
		watch, err := s.config.Jobs.Start(c.Request().Context(), id, job.BuildKind, job.Request{})
		if err == nil {
			watch.Close()
		}
		return err
	})
}

// writing returns the request as one that changes something.
func writing(r *http.Request) *http.Request {
	w := r.WithContext(r.Context())
	w.Method = http.MethodPost
	return w
}
