package routes

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/rs/zerolog"

	"example.com/sse-demo/sse"
)

// A cursor is a position in what a stream sends.
type cursor interface {
	// Next appends to frames what follows the position, up to a batch, and moves
	// on. io.EOF, possibly with the last frames, is the end of the stream.
	Next(frames [][]byte) ([][]byte, error)
	// Ready receives when there may be more, once Next has appended nothing.
	Ready() <-chan struct{}
	// Close gives back what the cursor holds.
	Close()
}

// stream answers a request whose parameters are valid with an event stream:
// it takes a place, opens the cursor behind the client's last event, and sends
// what the cursor gives until one side has enough.
func (s *Server) stream(c echo.Context, name string, open func(lastEventID string) (cursor, error)) error {
	if err := mayUse(c, name); err != nil {
		return err
	}
	if !s.takePlace(name) {
		return s.busy(c, s.unavailable("no more streams can be opened now"))
	}
	defer s.leavePlace(name)
	cursor, err := open(sse.LastEventID(c.Request()))
	if err != nil {
		return s.busy(c, err)
	}
	defer cursor.Close()

	visit := s.begin(c, name)
	defer visit.end()
	stream, err := sse.Open(c.Response().Writer, s.Stream)
	c.Response().Committed = true // from here on there is no error response
	switch {
	case err != nil:
		visit.reason = reasonOf(err)
	case c.Request().Method == http.MethodHead:
		visit.reason = endDone
	default:
		ctx, cancel := untilExpiry(c)
		defer cancel()
		visit.reason = s.send(ctx, stream, cursor, visit)
	}
	return nil
}

// send is the one loop of all streams: write what there is, with one flush, then
// wait for more. It returns why the stream ended.
func (s *Server) send(ctx context.Context, stream *sse.Stream, cursor cursor, visit *visit) string {
	visit.stream = stream
	var frames [][]byte
	for ctx.Err() == nil && !s.isDraining() {
		var over error
		frames, over = cursor.Next(frames[:0])
		if len(frames) > 0 {
			if err := stream.Send(frames...); err != nil {
				return reasonOf(err)
			}
			visit.count(frames)
			clear(frames) // an idle stream holds no events
		}
		if over != nil {
			return endingOf(over)
		}
		if len(frames) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
		case <-s.draining:
		case <-cursor.Ready():
		case <-stream.HeartbeatDue():
			if err := stream.Heartbeat(); err != nil {
				return reasonOf(err)
			}
		}
	}
	switch {
	case s.isDraining():
		return endShutdown
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return endExpired
	default:
		return endClient
	}
}

// reasonOf tells why a write failed.
func reasonOf(err error) string {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return endStalled
	}
	return endClient
}

func endingOf(err error) string {
	if errors.Is(err, io.EOF) {
		return endDone
	}
	return endFailed
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

// A visit is one client on one stream, for the counters and the access log.
type visit struct {
	log     zerolog.Logger
	metrics *streamMetrics
	began   time.Time
	stream  *sse.Stream
	bytes   int64 // of the stream that metrics know of
	events  int
	reason  string
}

func (s *Server) begin(c echo.Context, name string) *visit {
	v := &visit{
		log:     s.Logger.With().Str("stream", name).Str("client", c.RealIP()).Str("proto", c.Request().Proto).Logger(),
		metrics: s.metrics.streams[name],
		began:   time.Now(),
		reason:  endFailed, // until it is known better
	}
	v.metrics.opened.Inc()
	v.log.Info().Msg("stream opened")
	return v
}

func (v *visit) count(frames [][]byte) {
	v.events += len(frames)
	v.metrics.events.Add(float64(len(frames)))
	for _, frame := range frames {
		if sse.IsGap(frame) {
			v.metrics.gaps.Inc()
		}
	}
	v.countBytes()
}

func (v *visit) countBytes() {
	written := v.stream.Written()
	v.metrics.bytes.Add(float64(written - v.bytes))
	v.bytes = written
}

func (v *visit) end() {
	if v.stream != nil {
		v.countBytes()
	}
	v.metrics.closed[v.reason].Inc()
	v.log.Info().Dur("duration", time.Since(v.began)).Int("events", v.events).Int64("bytes", v.bytes).
		Str("reason", v.reason).Msg("stream ended")
}
