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
	opened   source
	options  sse.Options
	began    time.Time
	onTime   string      // the reason if the deadline of options ends the stream
	given    sse.Outcome // Events, Gaps and Bytes that Next has returned
	counted  sse.Outcome // those of them that the metrics have
}

// newSession begins a session for a client that has a slot and a source.
func (s *Server) newSession(c echo.Context, name string, opened source) *session {
	n := &session{
		server: s, stream: s.metrics.streams[name], client: c.RealIP(), protocol: c.Request().Proto,
		isHead: c.Request().Method == http.MethodHead,
		opened: opened, options: s.config.Stream, began: time.Now(),
	}
	n.options.Shutdown = s.shutdown
	if r := rightsOf(c); r != nil {
		n.endAt(r.ExpiresAt.Time, endExpired)
	}
	if age := s.config.MaxAge; age > 0 {
		n.endAt(n.began.Add(age-age/10+rand.N(age/5+1)), endAged)
	}
	if n.isHead {
		return n
	}
	n.stream.open.Add(1)
	n.stream.opened.Inc()
	s.config.Logger.Info().Str("stream", name).Str("client", n.client).Str("proto", n.protocol).Msg("stream opened")
	return n
}

// limit makes the stream finite if the client asks for that: it ends after its
// first batch, or when wait ms since it has asked are over.
func (n *session) limit(wait *int, asked time.Time) {
	if wait != nil {
		n.options.Once = true
		n.endAt(asked.Add(time.Duration(*wait)*time.Millisecond), endDone)
	}
}

// endAt ends the stream at t, unless it ends before.
func (n *session) endAt(t time.Time, reason string) {
	if n.options.Deadline.IsZero() || t.Before(n.options.Deadline) {
		n.options.Deadline, n.onTime = t, reason
	}
}

// Next gives what the source has. It is called again only when everything before
// it was sent, so that is counted then.
func (n *session) Next(frames [][]byte) ([][]byte, error) {
	n.count(n.given)
	before := len(frames)
	frames, err := n.opened.Next(frames)
	n.given.Count(frames[before:])
	return frames, err
}

// Notify is that of the source.
func (n *session) Notify(wake func()) { n.opened.Notify(wake) }

// Position is that of the source.
func (n *session) Position() string { return n.opened.Position() }

// count brings the metrics up to what the stream has sent from its beginning.
func (n *session) count(sent sse.Outcome) {
	if sent.Bytes == n.counted.Bytes {
		return
	}
	n.stream.events.Add(float64(sent.Events - n.counted.Events))
	n.stream.gaps.Add(float64(sent.Gaps - n.counted.Gaps))
	n.stream.bytes.Add(float64(sent.Bytes - n.counted.Bytes))
	n.counted = sent
}

// end releases what the session holds. It is called once.
func (n *session) end(outcome sse.Outcome) {
	defer n.server.slots.release()
	defer n.opened.Close()
	if n.isHead {
		return
	}
	n.count(outcome)
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
