package routes

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/sse-demo/sse"
)

// A visit is one client on one stream, with all that has to be given back when it
// ends.
type visit struct {
	server  *Server
	name    string // of the stream
	metrics *streamMetrics
	client  string // address
	proto   string
	began   time.Time // zero until begin
	expires time.Time // of the client's token; zero for never
	stream  *sse.Stream
	cursor  cursor
	gone    atomic.Bool // the client has left
	ended   bool        // the end of the stream has been written, or is about to be
	reason  string      // why it ends; empty until then
	events  int
	bytes   int64 // of the stream that metrics know of

	sweep sweep // what a sweeper needs to know
}

// newVisit is for a client that has taken a place.
func (s *Server) newVisit(c echo.Context, name string) *visit {
	v := &visit{server: s, name: name, metrics: s.metrics.streams[name], client: c.RealIP(), proto: c.Request().Proto}
	if r := rightsOf(c); r != nil {
		v.expires = r.ExpiresAt.Time
	}
	return v
}

func (v *visit) begin() {
	v.began = time.Now()
	v.metrics.opened.Inc()
	v.server.Logger.Info().Str("stream", v.name).Str("client", v.client).Str("proto", v.proto).Msg("stream opened")
}

// leaveHandler ends the visit with its handler, unless a sweeper has it.
func (v *visit) leaveHandler() {
	if v.sweep.by == nil {
		v.end()
	}
}

// end gives everything back.
func (v *visit) end() {
	defer v.server.leavePlace(v.name)
	if v.cursor != nil {
		defer v.cursor.Close()
	}
	if v.began.IsZero() {
		return
	}
	if v.reason == "" {
		v.reason = endFailed // a panic, or who knows
	}
	if v.stream != nil {
		v.countBytes()
	}
	v.metrics.closed[v.reason].Inc()
	v.server.Logger.Info().Str("stream", v.name).Str("client", v.client).Str("proto", v.proto).
		Dur("duration", time.Since(v.began)).Int("events", v.events).Int64("bytes", v.bytes).
		Str("reason", v.reason).Msg("stream ended")
}

// turn sends what the cursor has, and the end of the stream where it is over;
// reason then says why. Every stream is served by turns, whoever does it: its
// handler, a sweeper, or a goroutine that waits for a slow client. frames is to
// be used again.
func (v *visit) turn(frames *[][]byte, send func(frames ...[]byte) error) error {
	var err error
	if v.reason == "" {
		v.reason = v.mustEnd()
	}
	if v.reason == "" {
		var over error
		*frames, over = v.cursor.Next((*frames)[:0])
		if len(*frames) > 0 {
			err = send(*frames...)
			v.count(*frames)
			clear(*frames) // an idle stream holds no events
		}
		if over != nil {
			v.reason = endingOf(over)
		}
	}
	if v.reason != "" && !v.ended {
		v.ended = true
		if v.reason == endClient {
			return nil // there is nobody to tell
		}
		v.stream.End()
		if err == nil {
			err = send()
		}
	}
	return err
}

// fail ends the visit because of an error of a write. A client that leaves while
// it is told the end has not changed why.
func (v *visit) fail(err error) {
	v.ended = true
	if v.reason == "" {
		v.reason = reasonOf(err)
	}
}

// mustEnd is why the stream has to end now, or "".
func (v *visit) mustEnd() string {
	switch {
	case !v.expires.IsZero() && !time.Now().Before(v.expires):
		return endExpired
	case v.gone.Load():
		return endClient
	case v.server.isDraining():
		return endShutdown
	default:
		return ""
	}
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
