package routes

import (
	"errors"
	"math/rand/v2"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/rs/zerolog"

	"example.com/sse-demo/sse"
)

// maxLastEventID is how much of a Last-Event-ID a gap event repeats, in bytes. Ids
// of the service are under 40.
const maxLastEventID = 4096

// stream answers a request whose parameters are valid with an event stream, from
// a source that begins after the client's last event. wait is in ms, nil if the client has
// set none.
func (s *Server) stream(c echo.Context, name string, wait *int, open func(lastEventID string) (sse.Source, error)) error {
	if err := mayUse(c, name); err != nil {
		return err
	}
	n := &session{server: s, stream: s.metrics.streams[name], client: c.RealIP(), protocol: c.Request().Proto, began: time.Now()}
	if !s.gate.openStream() {
		return unavailable("no more streams can be opened now")
	}
	isServed := false
	defer func() {
		if !isServed { // open has failed, or panicked
			s.gate.closeStream()
		}
	}()
	id := sse.LastEventID(c.Request())
	source, err := open(id[:min(len(id), maxLastEventID)])
	if err != nil {
		return err
	}
	o := n.options(rightsOf(c), wait)
	if c.Request().Method == http.MethodHead {
		o.Ended = func(sse.Outcome) { s.gate.closeStream() }
	} else {
		n.stream.open.Add(1)
		n.stream.opened.Inc()
		s.config.Logger.Info().Str("stream", name).Str("client", n.client).Str("proto", n.protocol).Msg("stream opened")
	}
	isServed = true
	c.Response().Committed = true // from here on there is no error response
	err = s.config.Serve(answerOf(c).ResponseWriter, c.Request(), source, o)
	if err != nil { // nothing was written
		c.Response().Committed = false
		o.Ended(sse.Outcome{Reason: sse.SourceFailed, Err: err})
	}
	return err
}

// A session counts and logs one client on one stream.
type session struct {
	server   *Server
	stream   *streamMetrics
	client   string // address
	protocol string
	began    time.Time
	timeUp   string // the reason if a deadline ends the stream
}

// options returns the service's options with what this stream adds: a deadline, if the
// token expires or a maximum age is set, and the end of a poll.
func (n *session) options(r *rights, wait *int) sse.Options {
	o := n.server.config.Stream
	o.Shutdown = n.server.gate.shutdown
	o.Sent = n.sent
	o.Ended = n.end
	n.timeUp = endAged // also if a middleware around the service has a deadline
	if age := n.server.config.MaxAge; age > 0 {
		o.Deadline = n.began.Add(age - age/10 + rand.N(age/5+1))
	}
	if r.ExpiresAt != nil && (o.Deadline.IsZero() || r.ExpiresAt.Before(o.Deadline)) {
		o.Deadline, n.timeUp = r.ExpiresAt.Time, endExpired
	}
	if wait != nil {
		o.PollUntil = n.began.Add(time.Duration(*wait) * time.Millisecond)
	}
	return o
}

// sent adds to the metrics what the client has taken.
func (n *session) sent(events, gaps int, bytes int64) {
	n.stream.events.Add(float64(events))
	n.stream.gaps.Add(float64(gaps))
	n.stream.bytes.Add(float64(bytes))
}

// end is called once, whatever has ended the stream.
func (n *session) end(outcome sse.Outcome) {
	defer n.server.gate.closeStream()
	n.stream.open.Add(-1)
	reason := string(outcome.Reason)
	if outcome.Reason == sse.DeadlineReached {
		reason = n.timeUp
	}
	n.stream.closed.WithLabelValues(reason).Inc()
	level := zerolog.InfoLevel
	if outcome.Reason == sse.SourceFailed {
		level = zerolog.ErrorLevel
	}
	line := n.server.config.Logger.WithLevel(level)
	if panicked, ok := errors.AsType[*sse.PanicError](outcome.Err); ok {
		n.server.metrics.panics.Add(1)
		line.Bytes("stack", panicked.Stack)
	}
	line.Str("stream", n.stream.name).Str("client", n.client).Str("proto", n.protocol).
		Dur("duration", time.Since(n.began)).Int("events", outcome.Events).Int64("bytes", outcome.Bytes).
		Str("reason", reason).AnErr("error", outcome.Err).Msg("stream ended")
}

// acceptsStream reports whether the request's Accept header names event streams, with a
// quality that is not 0 (RFC 9110, section 12.4.2).
func acceptsStream(r *http.Request) bool {
	for _, line := range r.Header.Values(echo.HeaderAccept) {
		for one := range strings.SplitSeq(line, ",") {
			name, params, err := mime.ParseMediaType(one)
			quality, noQuality := strconv.ParseFloat(params["q"], 64)
			if err == nil && name == sse.MediaType && (quality > 0 || noQuality != nil) {
				return true
			}
		}
	}
	return false
}
