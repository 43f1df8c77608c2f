package routes

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/labstack/echo/v4"
)

const (
	maxBody     = 64 << 10         // bytes of a request body
	bodyTimeout = 10 * time.Second // in which it must arrive

	// lastTimeout replaces a longer write timeout of answers during a shutdown.
	lastTimeout = time.Second

	// pieceSize is how many bytes of an answer share one write deadline, so that a
	// client on a slow line is not cut off in the middle of a long one.
	pieceSize = 4 << 10
)

// An answer is the response to a request while it is no stream. Its client is cut off if
// it takes nothing for the write timeout: a client of HTTP/2 that grants no window
// would hold its handler for ever.
type answer struct {
	http.ResponseWriter
	gate    *gate
	control *http.ResponseController
	body    []byte // of the request
	bodyErr error  // why it was not read
	left    int    // bytes that share the present deadline

	// Guarded by the gate's lock.
	isReading bool // the body
	isWriting bool // has begun to write
}

// enter begins an answer, which ends with leave. It reads the body before anything else,
// so that no handler waits for a client, and net/http notices when the client of a stream
// leaves.
func (g *gate) enter(w http.ResponseWriter, r *http.Request) *answer {
	a := &answer{ResponseWriter: w, gate: g, control: http.NewResponseController(w)}
	if r.ProtoMajor > 1 { // net/http's own deadline would end the stream of HTTP/2; over HTTP/1.1 a later one replaces it
		_ = a.control.SetWriteDeadline(time.Time{})
	}
	g.mu.Lock()
	if !g.isClosed {
		g.answers[a] = struct{}{}
		g.open.Add(1)
	}
	g.mu.Unlock()
	if r.ContentLength != 0 {
		a.bodyErr = a.readBody(r)
	}
	return a
}

// answerOf returns the answer to c's request, before it has become a stream.
func answerOf(c echo.Context) *answer { return c.Response().Writer.(*answer) }

// leave is called when the request was handled, or has become a stream.
func (a *answer) leave() {
	a.gate.mu.Lock()
	defer a.gate.mu.Unlock()
	if _, isOpen := a.gate.answers[a]; isOpen {
		delete(a.gate.answers, a)
		a.gate.open.Done()
	}
}

// readBody reads a whole body, if it arrives in time and the service does not shut down
// before. If it fails, the deadline stays: net/http reads the rest after the answer.
func (a *answer) readBody(r *http.Request) error {
	_ = a.control.SetReadDeadline(time.Now().Add(bodyTimeout)) // it fails for the writers of tests
	if !a.setReading(true) {
		return errDraining
	}
	body, err := io.ReadAll(http.MaxBytesReader(a.ResponseWriter, r.Body, maxBody))
	if !a.setReading(false) {
		return errDraining
	}
	if err == nil {
		a.body = body
		_ = a.control.SetReadDeadline(time.Time{})
	}
	return err
}

// setReading returns false if the gate is closed.
func (a *answer) setReading(on bool) bool {
	a.gate.mu.Lock()
	defer a.gate.mu.Unlock()
	a.isReading = on
	return !a.gate.isClosed
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
		if a.left == 0 {
			a.setDeadline()
		}
		var n int
		n, err = a.ResponseWriter.Write(data[written:min(len(data), written+a.left)])
		a.left -= n
		written += n
	}
	return written, err
}

// setDeadline gives the client its time for the next piece.
func (a *answer) setDeadline() {
	a.gate.mu.Lock()
	defer a.gate.mu.Unlock()
	a.left, a.isWriting = pieceSize, true
	a.limitWriting()
}

// limitWriting needs the gate's lock, as hurry does.
func (a *answer) limitWriting() {
	timeout := a.gate.writeTimeout
	if timeout <= 0 {
		return
	}
	if a.gate.isClosed {
		timeout = min(timeout, lastTimeout)
	}
	_ = a.control.SetWriteDeadline(time.Now().Add(timeout)) // it fails for the writers of tests
}

// hurry gives up on a body that has not arrived, because its request would be refused, and
// shortens the time for what is being written.
func (a *answer) hurry() {
	if a.isReading {
		_ = a.control.SetReadDeadline(time.Now())
	}
	if a.isWriting {
		a.limitWriting()
	}
}

// bodyProblem is the answer to a request whose body was not read.
func (s *Server) bodyProblem(c echo.Context, err error) error {
	if c.Request().ProtoMajor == 1 { // the rest of the body would be taken for a request
		c.Response().Header().Set("Connection", "close")
	}
	_, tooLong := errors.AsType[*http.MaxBytesError](err)
	switch {
	case errors.Is(err, errDraining):
		return s.unavailable(errDraining.Error())
	case tooLong:
		return newProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body must be at most %d bytes", maxBody))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return newProblem(http.StatusRequestTimeout, fmt.Sprintf("the body did not arrive within %v", bodyTimeout))
	default:
		return newProblem(http.StatusBadRequest, "the body did not arrive whole")
	}
}
