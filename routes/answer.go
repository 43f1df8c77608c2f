package routes

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
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

var errTooLong = newProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body must be at most %d bytes", maxBody))

// An answer has the body of a request, and writes the response unless that is a stream.
// Its client is cut off if it takes nothing for the write timeout: a client of HTTP/2
// that grants no window would hold its handler for ever.
type answer struct {
	http.ResponseWriter
	gate    *gate
	control *http.ResponseController
	timeout time.Duration // 0 for none
	body    []byte        // of the request
	bodyErr error         // why the body was not read
}

// answerOf returns the answer to c's request.
func answerOf(c echo.Context) *answer { return c.Response().Writer.(*answer) }

// newAnswer begins an answer. It reads the body before anything else, so that no handler
// waits for a client, and net/http notices when the client of a stream leaves.
func (s *Server) newAnswer(w http.ResponseWriter, r *http.Request) *answer {
	a := &answer{ResponseWriter: w, gate: s.gate, control: http.NewResponseController(w), timeout: s.config.Stream.WriteTimeout}
	_ = a.control.SetWriteDeadline(time.Time{}) // net/http's own would end a stream of HTTP/2, also while nothing is written
	if r.ContentLength != 0 {
		a.body, a.bodyErr = a.readBody(r)
	}
	if a.bodyErr != nil && r.ProtoMajor == 1 { // the rest of the body would be taken for a request
		w.Header().Set("Connection", "close")
	}
	return a
}

// readBody reads a whole body, if it arrives in time and the service does not drain
// before. If it fails, the deadline stays: net/http reads the rest after the answer. A body
// whose length alone is too much is not asked for (Expect: 100-continue); over HTTP/2 it
// is, because curl would lose an answer that comes before it.
func (a *answer) readBody(r *http.Request) ([]byte, error) {
	_ = a.control.SetReadDeadline(time.Now().Add(bodyTimeout)) // it fails for the writers of tests
	if r.ContentLength > maxBody && r.ProtoMajor == 1 {
		return nil, errTooLong
	}
	stop := a.gate.onDrain(func() { _ = a.control.SetReadDeadline(time.Now()) })
	body, err := io.ReadAll(http.MaxBytesReader(a.ResponseWriter, r.Body, maxBody))
	stop()
	_, tooLong := errors.AsType[*http.MaxBytesError](err)
	switch {
	case a.gate.isDraining():
		return nil, errDraining
	case tooLong:
		return nil, errTooLong
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, newProblem(http.StatusRequestTimeout, fmt.Sprintf("the body did not arrive within %v", bodyTimeout))
	case err != nil:
		return nil, newProblem(http.StatusBadRequest, "the body did not arrive whole")
	}
	_ = a.control.SetReadDeadline(time.Time{})
	return body, nil
}

// Unwrap is for [http.ResponseController].
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader implements [http.ResponseWriter].
func (a *answer) WriteHeader(status int) {
	a.setWriteDeadline()
	a.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (a *answer) Write(data []byte) (written int, err error) {
	for piece := range slices.Chunk(data, pieceSize) {
		a.setWriteDeadline()
		stop := a.gate.onDrain(a.setWriteDeadline)
		n, err := a.ResponseWriter.Write(piece)
		stop()
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// setWriteDeadline gives the client its time for the next piece.
func (a *answer) setWriteDeadline() {
	timeout := a.timeout
	if timeout <= 0 {
		return
	}
	if a.gate.isDraining() {
		timeout = min(timeout, lastTimeout)
	}
	_ = a.control.SetWriteDeadline(time.Now().Add(timeout)) // it fails for the writers of tests
}
