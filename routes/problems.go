package routes

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/sse-demo/sse"
)

// A problem is an error for the client, in the form of RFC 9457.
type problem struct {
	Type   string       `json:"type"`
	Title  string       `json:"title"`
	Status int          `json:"status"`
	Detail string       `json:"detail,omitempty"`
	Errors []fieldError `json:"errors,omitempty"`

	retryAfter time.Duration // 0 for no such header
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

// failed is the answer to an error or a panic that nobody expects.
func failed() *problem {
	return newProblem(http.StatusInternalServerError, "the service has failed; its log says why")
}

// invalid is the answer to input that is well-formed but wrong; nil if nothing is.
func invalid(fields ...fieldError) error {
	if len(fields) == 0 {
		return nil
	}
	p := newProblem(http.StatusUnprocessableEntity, fields[0].Message)
	p.Errors = fields
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
	data, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and an integer always marshal
	}
	return data
}

// unavailable is the answer to what would succeed later.
func (s *Server) unavailable(detail string) *problem {
	p := newProblem(http.StatusServiceUnavailable, detail)
	p.retryAfter = sse.Jitter(s.busyRetry())
	return p
}

// busyRetry is the base of the delay for clients that get no slot.
func (s *Server) busyRetry() time.Duration { return 10 * s.config.Stream.Retry }

// answerError is Echo's error handler, the only place that answers errors.
func (s *Server) answerError(err error, c echo.Context) {
	if c.Response().Committed {
		return // a stream has begun, or the answer was written
	}
	p := s.problemOf(err, c)
	header := c.Response().Header()
	if p.retryAfter > 0 {
		header.Set(echo.HeaderRetryAfter, strconv.Itoa(int(math.Ceil(p.retryAfter.Seconds()))))
	}
	if err := c.Blob(p.Status, "application/problem+json", p.json()); err != nil { // net/http leaves out the body for HEAD
		s.config.Logger.Debug().Err(err).Msg("a client left before its error was written")
	}
}

func (s *Server) problemOf(err error, c echo.Context) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	fromEcho, ok := errors.AsType[*echo.HTTPError](err)
	switch {
	case errors.Is(err, echo.ErrNotFound):
		return newProblem(http.StatusNotFound, "there is nothing at this path; /openapi.json lists what there is")
	case errors.Is(err, echo.ErrMethodNotAllowed):
		return newProblem(http.StatusMethodNotAllowed, "this path does not take this method; see the Allow header")
	case ok && fromEcho.Code < http.StatusInternalServerError:
		return newProblem(fromEcho.Code, "")
	default:
		s.config.Logger.Error().Err(err).Str("route", c.Path()).Msg("a request failed")
		return failed()
	}
}
