package routes

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/sse-demo/routes/job"
)

type jobParams struct {
	ID         *string `json:"id" validate:"omitnil,jobid"`
	DurationMs *int    `json:"durationMs" validate:"omitnil,min=500,max=600000"`
}

// startJob starts a job.
func (s *Server) startJob(c echo.Context) error {
	if err := mayUse(c, progressStream); err != nil {
		return err
	}
	var p jobParams
	if err := s.bindBody(c, &p); err != nil {
		return err
	}
	id := "job-" + strings.ToLower(rand.Text()[:10])
	if p.ID != nil {
		id = *p.ID
	}
	duration := defaultDuration
	if p.DurationMs != nil {
		duration = time.Duration(*p.DurationMs) * time.Millisecond
	}
	err := s.write(func() error {
		return s.jobProblem(s.config.Jobs.Start(c.Request().Context(), id, job.Demo(duration)))
	})
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderLocation, "/stream/progress?id="+url.QueryEscape(id))
	return c.JSON(http.StatusAccepted, map[string]string{"id": id})
}

// cancelJob cancels a running job.
func (s *Server) cancelJob(c echo.Context) error {
	if err := mayUse(c, progressStream); err != nil {
		return err
	}
	err := s.write(func() error {
		return s.jobProblem(s.config.Jobs.Cancel(c.Request().Context(), c.Param("id")))
	})
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (s *Server) jobProblem(err error) error {
	switch {
	case errors.Is(err, job.ErrRunning):
		return newProblem(http.StatusConflict, "a job of that id is running")
	case errors.Is(err, job.ErrNone):
		return newProblem(http.StatusNotFound, "no job of that id is running")
	case errors.Is(err, job.ErrTooMany), errors.Is(err, job.ErrClosed), errors.Is(err, job.ErrAway):
		return s.unavailable("no more jobs can be started now")
	default:
		return err
	}
}
