package routes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/rs/zerolog"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/routes/job"
	"example.com/sse-demo/sse"
)

// A problem is an error for the client, in the form of RFC 9457.
type problem struct {
	Type   string       `json:"type"`
	Title  string       `json:"title"`
	Status int          `json:"status"`
	Detail string       `json:"detail,omitempty"`
	Errors []fieldError `json:"errors,omitempty"`
}

// A fieldError is what was wrong with one field of the input.
type fieldError struct {
	Field   string `json:"field"` // as the client named it
	Rule    string `json:"rule"`
	Message string `json:"message"`
}

func newProblem(status int, detail string) *problem {
	return &problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail}
}

// unavailable is the answer to what would succeed later.
func unavailable(detail string) *problem { return newProblem(http.StatusServiceUnavailable, detail) }

// errFailed is the answer to an error or a panic that nobody expects.
var errFailed = newProblem(http.StatusInternalServerError, "the service has failed; its log says why")

// invalid is the answer to input that is well-formed but wrong: the first error of each
// field. It is nil if there is none.
func invalid(wrong []fieldError) error {
	p := newProblem(http.StatusUnprocessableEntity, "")
	for _, e := range wrong {
		if !slices.ContainsFunc(p.Errors, func(before fieldError) bool { return before.Field == e.Field }) {
			p.Errors = append(p.Errors, e)
		}
	}
	if len(p.Errors) == 0 {
		return nil
	}
	p.Detail = p.Errors[0].Message
	return p
}

// unknown returns the errors for names that no request of this kind has. They are in a part
// of the request, which may have thousands, so the answer repeats a few of them, cut.
func unknown(part string, names []string) (wrong []fieldError) {
	const maxNames, maxBytes = 20, 64
	for i, name := range names {
		if i == maxNames {
			return append(wrong, fieldError{part, "unknown", fmt.Sprintf("%s has %d more that are not known here", part, len(names)-maxNames)})
		}
		if len(name) > maxBytes {
			name = strings.ToValidUTF8(name[:maxBytes], "") + "…"
		}
		wrong = append(wrong, fieldError{name, "unknown", fmt.Sprintf("%q is not known here", name)})
	}
	return wrong
}

func (p *problem) Error() string { return p.Detail }

func (p *problem) json() []byte {
	data, _ := json.Marshal(p) // strings and an integer always marshal
	return data
}

// answerError is Echo's error handler, the only place that answers errors.
func (s *Server) answerError(err error, c echo.Context) {
	if c.Response().Committed {
		return // a stream has begun, or the answer was written
	}
	p := s.problemOf(err, c)
	retry := 10 * s.config.Stream.Retry
	if p.Status == http.StatusServiceUnavailable {
		if s.answerBusy(c, p, retry) {
			return
		}
		c.Response().Header().Set(echo.HeaderRetryAfter, strconv.Itoa(int(math.Ceil(sse.Jitter(retry).Seconds()))))
	}
	if err := c.Blob(p.Status, "application/problem+json", p.json()); err != nil { // net/http leaves out the body for HEAD
		s.config.Logger.Debug().Err(err).Msg("a client left before its error was written")
	}
}

// answerBusy answers an EventSource with a stream of one event, busy: EventSource gives up
// for good at any status but 200, and after the end of a stream it comes back by itself.
// It returns false for any other client.
func (s *Server) answerBusy(c echo.Context, p *problem, retry time.Duration) bool {
	if !slices.Contains(reads, c.Request().Method) || !acceptsStream(c.Request()) {
		return false
	}
	o := s.config.Stream
	o.Retry = retry
	return sse.Serve(answerOf(c), c.Request(), sse.SourceOf(sse.MustFrame(sse.Event{Name: "busy", Data: p.json()})), o) == nil
}

// problemOf returns the answer to an error, and logs what is not the client's fault.
func (s *Server) problemOf(err error, c echo.Context) *problem {
	p, ok := errors.AsType[*problem](err)
	switch {
	case ok:
		return p
	case errors.Is(err, echo.ErrNotFound):
		return newProblem(http.StatusNotFound, "there is nothing at this path; /openapi.json lists what there is")
	case errors.Is(err, echo.ErrMethodNotAllowed):
		return newProblem(http.StatusMethodNotAllowed, "this path does not take this method; see the Allow header")
	case errors.Is(err, job.ErrRunning):
		return newProblem(http.StatusConflict, "a job of that id is running")
	case errors.Is(err, job.ErrNone):
		return newProblem(http.StatusNotFound, "no job of that id is running")
	case errors.Is(err, job.ErrTooMany):
		return unavailable(fmt.Sprintf("%d jobs are running, and no more can be started now; try again", job.MaxRunning))
	case errors.Is(err, job.ErrClosed):
		return errDraining
	}
	level := zerolog.ErrorLevel
	if errors.Is(err, context.Canceled) { // the client has left; nothing is wrong with the broker
		level = zerolog.DebugLevel
	}
	s.config.Logger.WithLevel(level).Err(err).Str("route", c.Path()).Msg("a request failed")
	switch {
	case errors.Is(err, job.ErrAway):
		return unavailable("the service cannot reach its broker; try again")
	case errors.Is(err, pubsub.ErrNotPublished):
		return unavailable("the event was not published; try again")
	case errors.Is(err, pubsub.ErrUnconfirmed):
		return unavailable("the broker did not confirm the event; it may still appear, so publishing it again may publish it twice")
	default:
		return errFailed
	}
}
