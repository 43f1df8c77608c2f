package routes

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// An answer is the response to a request while it is no stream. Its client is cut off if
// it takes nothing for the write timeout: a client of HTTP/2 that grants no window
// would hold its handler for ever.
type answer struct {
	http.ResponseWriter
	gate    *gate
	control *http.ResponseController
	body    []byte // of the request, once it is read

	// Guarded by the gate's lock.
	hasBegun bool
	rest     time.Duration // in which net/http reads the rest of the body, before it sends anything
}

// enter begins an answer, which ends with leave. A body has its time to arrive, also
// one that no handler reads: net/http reads the rest of it, before the answer or after,
// and would wait for ever.
func (g *gate) enter(w http.ResponseWriter, r *http.Request) *answer {
	a := &answer{ResponseWriter: w, gate: g, control: http.NewResponseController(w)}
	_ = a.control.SetWriteDeadline(time.Time{}) // the server's, which is for answers of net/http itself
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.isClosed {
		g.answers[a] = struct{}{}
	}
	switch {
	case r.ContentLength == 0:
	case g.isClosed:
		_ = a.giveRest(restTimeout)
	default:
		_ = a.giveRest(bodyTimeout)
	}
	return a
}

// giveRest gives the rest of the body its time, none if all of it is here. It fails if
// the client has left, and for the writers of tests. It is called with the lock.
func (a *answer) giveRest(rest time.Duration) error {
	a.rest = rest
	if rest == 0 {
		return a.control.SetReadDeadline(time.Time{})
	}
	return a.control.SetReadDeadline(time.Now().Add(rest))
}

// answerOf returns the answer to c's request, before it has become a stream.
func answerOf(c echo.Context) *answer { return c.Response().Writer.(*answer) }

// leave is called when the request was handled, or has become a stream.
func (a *answer) leave() {
	a.gate.mu.Lock()
	defer a.gate.mu.Unlock()
	delete(a.gate.answers, a)
	a.gate.checkIdle()
}

// Unwrap is for [http.ResponseController].
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader implements [http.ResponseWriter].
func (a *answer) WriteHeader(status int) {
	a.setDeadline()
	a.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (a *answer) Write(data []byte) (written int, err error) {
	for err == nil && written < len(data) {
		a.setDeadline()
		var n int
		n, err = a.ResponseWriter.Write(data[written:min(len(data), written+pieceSize)])
		written += n
	}
	return written, err
}

// setDeadline gives the client its time for what is written next.
func (a *answer) setDeadline() {
	a.gate.mu.Lock()
	defer a.gate.mu.Unlock()
	timeout := a.gate.writeTimeout
	if timeout <= 0 {
		return
	}
	if a.gate.isClosed {
		timeout = min(timeout, lastTimeout)
	}
	a.hasBegun = true
	_ = a.control.SetWriteDeadline(time.Now().Add(a.rest + timeout)) // it fails for the writers of tests
}

// readBody reads a whole body, if it arrives in time and the service does not shut
// down before.
func (a *answer) readBody(r *http.Request) (err error) {
	if !a.gate.isDraining() {
		a.body, err = io.ReadAll(http.MaxBytesReader(a.ResponseWriter, r.Body, maxBody))
	}
	a.gate.mu.Lock()
	defer a.gate.mu.Unlock()
	switch {
	case a.gate.isClosed: // close has set a deadline, or enter
		return errDraining
	case err != nil:
		return errors.Join(err, a.giveRest(restTimeout))
	default:
		return a.giveRest(0)
	}
}
