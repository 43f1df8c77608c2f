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
	began    time.Time
	onTime   string     // the reason if a deadline ends the stream
	given    sse.Counts // what Next has returned
	counted  sse.Counts // the part of it that the metrics have
}

// newSession begins a session for a client that has a slot and a source.
func (s *Server) newSession(c echo.Context, name string, opened source) *session {
	n := &session{
		server: s, stream: s.metrics.streams[name], client: c.RealIP(), protocol: c.Request().Proto,
		isHead: c.Request().Method == http.MethodHead,
		opened: opened, began: time.Now(),
	}
	if n.isHead {
		return n
	}
	n.stream.open.Add(1)
	n.stream.opened.Inc()
	s.config.Logger.Info().Str("stream", name).Str("client", n.client).Str("proto", n.protocol).Msg("stream opened")
	return n
}

// options are those of the service with the earliest of the session's deadlines:
// that of its token, the maximum age, and the wait (ms since the client has asked)
// after which a client wants the stream to end, if not after its first batch.
func (n *session) options(r *rights, wait *int, asked time.Time) sse.Options {
	o := n.server.config.Stream
	o.Shutdown = n.server.gate.shutdown
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
		o.Once = true
		endAt(asked.Add(time.Duration(*wait)*time.Millisecond), endDone)
	}
	return o
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
func (n *session) count(sent sse.Counts) {
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
	defer n.server.gate.closeStream()
	defer n.opened.Close()
	if n.isHead {
		return
	}
	n.count(outcome.Counts)
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
