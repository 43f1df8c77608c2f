package routes

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/sse-demo/sse"
)

// A cursor is a position in what a stream sends.
type cursor interface {
	// Next appends to frames what follows the position, up to a batch, and moves
	// on. io.EOF, possibly with the last frames, is the end of the stream.
	Next(frames [][]byte) ([][]byte, error)
	// Notify makes the cursor call wake, from any goroutine, when there may be
	// more than Next has given: at once, where there already is.
	Notify(wake func())
	// Close gives back what the cursor holds.
	Close()
}

// stream answers a request whose parameters are valid with an event stream:
// it takes a place, opens the cursor behind the client's last event, and sends
// what the cursor gives until one side has enough. Where it can, it leaves that
// to a sweeper, and returns at once.
func (s *Server) stream(c echo.Context, name string, open func(lastEventID string) (cursor, error)) error {
	if err := mayUse(c, name); err != nil {
		return err
	}
	if !s.takePlace(name) {
		return s.busy(c, s.unavailable("no more streams can be opened now"))
	}
	visit := s.newVisit(c, name)
	defer visit.leaveHandler()
	var err error
	if visit.cursor, err = open(sse.LastEventID(c.Request())); err != nil {
		return s.busy(c, err)
	}
	visit.begin()
	if s.sweep(c, visit) {
		return nil
	}
	visit.stream, err = sse.Open(c.Response().Writer, s.Stream)
	c.Response().Committed = true // from here on there is no error response
	switch {
	case err != nil:
		visit.fail(err)
	case c.Request().Method == http.MethodHead:
		visit.reason = endDone
	default:
		s.send(c.Request().Context(), visit)
	}
	return nil
}

// send serves one stream in the goroutine of its handler: it writes what there
// is, with one flush, then waits for more, until the stream has ended.
func (s *Server) send(ctx context.Context, v *visit) {
	ready := make(chan struct{}, 1)
	v.cursor.Notify(func() {
		select {
		case ready <- struct{}{}:
		default: // it has been told already
		}
	})
	var expiry <-chan time.Time
	if !v.expires.IsZero() {
		timer := time.NewTimer(time.Until(v.expires))
		defer timer.Stop()
		expiry = timer.C
	}
	var frames [][]byte
	for {
		err := v.turn(&frames, v.stream.Send)
		if err == nil && v.reason == "" {
			select {
			case <-ctx.Done():
				v.gone.Store(true)
			case <-expiry:
			case <-s.draining:
			case <-ready:
			case <-v.stream.HeartbeatDue():
				err = v.stream.Heartbeat()
			}
		}
		if err != nil {
			v.fail(err)
		}
		if v.reason != "" {
			return
		}
	}
}

// takePlace counts a stream as open, unless there are too many or the service is
// going down.
func (s *Server) takePlace(name string) bool {
	if s.isDraining() {
		return false
	}
	if s.open.Add(1) > int64(s.MaxStreams) {
		s.open.Add(-1)
		return false
	}
	s.metrics.streams[name].open.Add(1)
	return true
}

func (s *Server) leavePlace(name string) {
	s.metrics.streams[name].open.Add(-1)
	s.open.Add(-1)
}

// busy returns err, but where it says "later" to an EventSource, answers with a
// stream that says so: EventSource gives up for good at any status but 200, and
// after the end of a stream comes back by itself.
func (s *Server) busy(c echo.Context, err error) error {
	p, ok := errors.AsType[*problem](err)
	if !ok || p.Status != http.StatusServiceUnavailable || !accepts(c.Request(), sse.MediaType) {
		return err
	}
	o := s.Stream
	o.Retry = s.busyRetry()
	stream, failed := sse.Open(c.Response().Writer, o)
	c.Response().Committed = true
	if failed == nil {
		frame, _ := sse.Event{Name: "busy", Data: p.json()}.Append(nil) // a constant name is valid
		failed = stream.Send(frame)
	}
	if failed != nil {
		s.Logger.Debug().Err(failed).Msg("a client left before it was told to come later")
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
