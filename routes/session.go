package routes

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/rs/zerolog"

	"example.com/sse-demo/sse"
)

// A session is one client on one stream: what is counted and logged of it, and
// what is released when it ends.
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
	}
	if n.isHead {
		return n
	}
	n.stream.open.Add(1)
	n.stream.opened.Inc()
	s.config.Logger.Info().Str("stream", name).Str("client", n.client).Str("proto", n.protocol).Msg("stream opened")
	return n
}

// options are those of the service, with the earliest of the session's deadlines, of
// its token and the maximum age, and with the wait of a client that polls, in ms since
// it has asked.
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
	if r != nil {
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

// sent counts what the client has taken.
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
