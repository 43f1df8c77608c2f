package routes

import (
	"errors"
	"math/rand/v2"
	"mime"
	"net/http"
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
// a source that begins after the client's last event.
func (s *Server) stream(c echo.Context, name string, wait *int, open func(lastEventID string) (sse.Source, error)) error {
	if err := mayUse(c, name); err != nil {
		return err
	}
	asked := time.Now()
	opened, err := s.openSource(c, open)
	if err != nil {
		return s.busy(c, err)
	}
	session := s.newSession(c, name)
	c.Response().Committed = true // from here on there is no error response
	answer := answerOf(c)
	w := http.ResponseWriter(answer)
	if c.Request().Method != http.MethodHead { // Serve sets the deadlines of a stream
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

// openSource takes a slot, which session.end releases, and opens the source, which Serve
// closes.
func (s *Server) openSource(c echo.Context, open func(lastEventID string) (sse.Source, error)) (opened sse.Source, err error) {
	if !s.gate.openStream() {
		return nil, s.unavailable("no more streams can be opened now")
	}
	isOpen := false
	defer func() {
		if !isOpen { // open has failed, or panicked
			s.gate.closeStream()
		}
	}()
	id := sse.LastEventID(c.Request())
	opened, err = open(id[:min(len(id), maxLastEventID)])
	isOpen = err == nil
	return opened, err
}

// A session counts and logs one client on one stream, and releases its slot at the
// end.
type session struct {
	server   *Server
	stream   *streamMetrics
	client   string // address
	protocol string
	isHead   bool
	began    time.Time
	onTime   string // the reason if a deadline ends the stream
}

// newSession begins a session for a client that has a slot.
func (s *Server) newSession(c echo.Context, name string) *session {
	n := &session{
		server: s, stream: s.metrics.streams[name], client: c.RealIP(), protocol: c.Request().Proto,
		isHead: c.Request().Method == http.MethodHead,
		began:  time.Now(),
		onTime: endAged, // by a middleware around the service
	}
	if n.isHead {
		return n
	}
	n.stream.open.Add(1)
	n.stream.opened.Inc()
	s.config.Logger.Info().Str("stream", name).Str("client", n.client).Str("proto", n.protocol).Msg("stream opened")
	return n
}

// options returns the service's options with what this stream adds: a deadline, if the
// token expires or a maximum age is set, and the end of a poll, wait ms after the
// client has asked.
func (n *session) options(r *rights, wait *int, asked time.Time) sse.Options {
	o := n.server.config.Stream
	o.Shutdown = n.server.gate.shutdown
	o.Sent = n.sent
	o.Ended = n.end
	endAt := func(t time.Time, reason string) {
		if o.Deadline.IsZero() || t.Before(o.Deadline) {
			o.Deadline, n.onTime = t, reason
		}
	}
	if r.ExpiresAt != nil {
		endAt(r.ExpiresAt.Time, endExpired)
	}
	if age := n.server.config.MaxAge; age > 0 {
		endAt(n.began.Add(age-age/10+rand.N(age/5+1)), endAged)
	}
	if wait != nil {
		o.PollUntil = asked.Add(time.Duration(*wait) * time.Millisecond)
	}
	return o
}

// sent adds to the metrics what the client has taken.
func (n *session) sent(events, gaps int, bytes int64) {
	n.stream.events.Add(float64(events))
	n.stream.gaps.Add(float64(gaps))
	n.stream.bytes.Add(float64(bytes))
}

// end releases what the session holds. It is called once.
func (n *session) end(outcome sse.Outcome) {
	defer n.server.gate.closeStream()
	if n.isHead {
		return
	}
	n.stream.open.Add(-1)
	reason := string(outcome.Reason)
	if outcome.Reason == sse.DeadlineReached {
		reason = n.onTime
	}
	n.stream.closed[reason].Inc()
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

// busy answers an EventSource that would get 503 with a stream of one event, busy:
// EventSource gives up for good at any status but 200, and after the end of a stream
// it comes back by itself. For any other error, and for POST, which EventSource cannot
// send, it returns err.
func (s *Server) busy(c echo.Context, err error) error {
	p, ok := errors.AsType[*problem](err)
	if !ok || c.Request().Method == http.MethodPost || p.Status != http.StatusServiceUnavailable || !accepts(c.Request(), sse.MediaType) {
		return err
	}
	o := s.config.Stream
	o.Retry = s.busyRetry()
	failed := sse.Serve(c.Response().Writer, c.Request(), sse.SourceOf(sse.MustFrame(sse.Event{Name: "busy", Data: p.json()})), o)
	c.Response().Committed = failed == nil
	return failed
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
