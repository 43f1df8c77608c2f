package routes

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/sse-demo/sse"
)

// maxLastEventID is how much of a Last-Event-ID a gap event repeats, in bytes. Ids
// of the service are under 40.
const maxLastEventID = 4096

// A source is what a route opens for a client. It is closed when the stream has ended.
type source interface {
	sse.Source
	Close()
}

// stream answers a request whose parameters are valid with an event stream, from
// a source that begins after the client's last event.
func (s *Server) stream(c echo.Context, name string, wait *int, open func(lastEventID string) (source, error)) error {
	if err := mayUse(c, name); err != nil {
		return err
	}
	asked := time.Now()
	session, opened, err := s.openSession(c, name, open)
	if err != nil {
		return s.busy(c, err)
	}
	c.Response().Committed = true // from here on there is no error response
	answer := answerOf(c)
	w := http.ResponseWriter(answer)
	if c.Request().Method != http.MethodHead { // a stream has deadlines of its own
		answer.leave()
		w = answer.ResponseWriter
	}
	err = s.config.Serve(w, c.Request(), opened, session.options(rightsOf(c), wait, asked))
	if err != nil { // nothing was written
		c.Response().Committed = false
		session.end(sse.Outcome{Reason: sse.SourceFailed, Err: err})
	}
	return err
}

// openSession takes a slot, which session.end releases, and opens the source, which
// is closed by who serves it.
func (s *Server) openSession(c echo.Context, name string, open func(lastEventID string) (source, error)) (*session, source, error) {
	if !s.gate.openStream() {
		return nil, nil, s.unavailable("no more streams can be opened now")
	}
	release := s.gate.closeStream
	defer func() { release() }() // unless there is a session, whose end does so
	id := sse.LastEventID(c.Request())
	opened, err := open(id[:min(len(id), maxLastEventID)])
	if err != nil {
		return nil, nil, err
	}
	release = func() {}
	return s.newSession(c, name), opened, nil
}
