package routes

import (
	"errors"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/sse-demo/sse"
)

// A ServeFunc answers a request with an event stream, as [sse.Serve] does. It
// calls ended once with what became of the stream, possibly after it has returned;
// if it returns an error, nothing was written, and it does not call ended.
type ServeFunc func(w http.ResponseWriter, r *http.Request, source sse.Source, o sse.Options, ended func(sse.Outcome)) error

// serveInHandler serves the stream in the goroutine of its handler.
func serveInHandler(w http.ResponseWriter, r *http.Request, source sse.Source, o sse.Options, ended func(sse.Outcome)) (err error) {
	outcome := sse.Outcome{Reason: sse.SourceFailed, Err: errPanicked}
	defer func() {
		if err == nil { // also after a panic
			ended(outcome)
		}
	}()
	outcome, err = sse.Serve(w, r, source, o)
	return err
}

var errPanicked = errors.New("the source panicked")

// A source is what a route opens for a client, and closes when the stream ends.
type source interface {
	sse.Source
	Close()
}

// stream answers a request whose parameters are valid with an event stream. It
// takes a slot, opens the source after the client's last event, and serves it;
// whatever ends the stream, session.end releases everything.
func (s *Server) stream(c echo.Context, name string, finite finiteParams, open func(lastEventID string) (source, error)) error {
	if err := mayUse(c, name); err != nil {
		return err
	}
	if !s.slots.take() {
		return s.busy(c, s.unavailable("no more streams can be opened now"))
	}
	asked := time.Now()
	release := s.slots.release
	defer func() { release() }() // unless there is a session, which does so at its end
	opened, err := open(sse.LastEventID(c.Request()))
	if err != nil {
		return s.busy(c, err)
	}
	session := s.newSession(c, name, opened)
	session.limit(finite, asked)
	release = func() {}
	c.Response().Committed = true // from here on there is no error response
	err = s.config.Serve(c.Response().Writer, c.Request(), session, session.options, session.end)
	if err != nil { // nothing was written
		c.Response().Committed = false
		session.end(sse.Outcome{Reason: sse.SourceFailed, Err: err})
	}
	return err
}

// finiteParams are the parameters that every stream has.
type finiteParams struct {
	Wait *int `query:"wait" validate:"omitnil,min=0,max=60000"` // ms
}

// busy returns err, but if it means "later" and the client is an EventSource, it
// answers with a stream that says so: EventSource gives up for good at any status
// but 200, and after the end of a stream it comes back by itself. It sends no POST.
func (s *Server) busy(c echo.Context, err error) error {
	p, ok := errors.AsType[*problem](err)
	if !ok || c.Request().Method == http.MethodPost || p.Status != http.StatusServiceUnavailable || !accepts(c.Request(), sse.MediaType) {
		return err
	}
	o := s.config.Stream
	o.Retry = s.busyRetry()
	sse.SetHeader(c.Response().Header(), o, "")
	stream, failed := sse.Open(c.Response().Writer, c.Request(), o)
	if errors.Is(failed, http.ErrNotSupported) {
		return failed
	}
	c.Response().Committed = true
	if failed == nil {
		failed = stream.Send(sse.MustFrame(sse.Event{Name: "busy", Data: p.json()}))
	}
	if failed != nil {
		s.config.Logger.Debug().Err(failed).Msg("a client left before it could be asked to come later")
	}
	return nil
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

// untilShutdown is a source that has nothing more to send when the service shuts
// down, because a restart loses nothing of it.
type untilShutdown struct {
	source
	shutdown <-chan struct{}
}

func (u untilShutdown) Next(frames [][]byte) ([][]byte, error) {
	select {
	case <-u.shutdown:
		return frames, nil
	default:
		return u.source.Next(frames)
	}
}
