package routes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
)

const (
	maxBody     = 64 << 10         // bytes of a request body
	bodyTimeout = 10 * time.Second // in which it must arrive

	// restTimeout is for what is left of a body that was refused: net/http reads it
	// after the answer.
	restTimeout = time.Second
)

// limitBody gives a body its time to arrive, also one that no handler reads: net/http
// reads what is left of it, before the answer or after, and would wait for ever.
func limitBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 { // it fails if the client has left, or for the writers of tests
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	}
}

// readBody reads the body of every request that has one, before its handler, so
// that no handler waits for a client. A body that is in the way would also keep
// net/http from noticing that the client of a stream has left.
func (s *Server) readBody(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if r.ContentLength == 0 {
			return next(c)
		}
		body, err := s.bodies.read(c.Response().Writer, r)
		if err != nil {
			if r.ProtoMajor == 1 { // what is left of the body would be taken for a request
				c.Response().Header().Set("Connection", "close")
			}
			return s.bodyProblem(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		return next(c)
	}
}

// bodies are the request bodies that are being read. A shutdown does not wait for
// them: what they ask for would be refused.
type bodies struct {
	mu      sync.Mutex
	closed  bool
	reading map[*http.ResponseController]struct{}
}

// read returns a whole body, if it arrives in time and the service does not shut
// down before.
func (b *bodies) read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	control := http.NewResponseController(w)
	if err := b.begin(control); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	return body, errors.Join(err, b.end(control, err))
}

func (b *bodies) begin(control *http.ResponseController) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return errors.Join(errDraining, control.SetReadDeadline(time.Now().Add(restTimeout)))
	}
	if b.reading == nil {
		b.reading = map[*http.ResponseController]struct{}{}
	}
	b.reading[control] = struct{}{}
	return nil
}

// end takes err from reading a body.
func (b *bodies) end(control *http.ResponseController, err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.reading, control)
	if b.closed {
		return errDraining // close has set a deadline
	}
	if err != nil {
		return control.SetReadDeadline(time.Now().Add(restTimeout))
	}
	return control.SetReadDeadline(time.Time{})
}

// close ends all reading, and lets none begin.
func (b *bodies) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for control := range b.reading {
		_ = control.SetReadDeadline(time.Now()) // if it fails, the client has left
	}
}

func (s *Server) bodyProblem(err error) error {
	if errors.Is(err, errDraining) {
		return s.unavailable(errDraining.Error())
	}
	if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
		return newProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body must be at most %d bytes", maxBody))
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return newProblem(http.StatusRequestTimeout, fmt.Sprintf("the body did not arrive within %v", bodyTimeout))
	}
	return newProblem(http.StatusBadRequest, "the body did not arrive whole")
}

// mediaType is the type of the body without its parameters, "" if none is given.
func mediaType(r *http.Request) (string, error) {
	for _, coding := range r.Header.Values(echo.HeaderContentEncoding) {
		if !strings.EqualFold(coding, "identity") {
			return "", newProblem(http.StatusUnsupportedMediaType, "the body must be sent as it is, without a Content-Encoding")
		}
	}
	text := r.Header.Get(echo.HeaderContentType)
	if text == "" {
		return "", nil
	}
	media, params, err := mime.ParseMediaType(text)
	if err != nil {
		return "", newProblem(http.StatusUnsupportedMediaType, "the Content-Type is malformed")
	}
	isUTF8 := slices.Contains([]string{"", "utf-8", "utf8", "us-ascii"}, strings.ToLower(params["charset"]))
	if !isUTF8 && media != echo.MIMEApplicationJSON { // which has no such parameter (RFC 8259, section 11)
		return "", newProblem(http.StatusUnsupportedMediaType, "the charset of the body must be UTF-8")
	}
	return media, nil
}

// bindBody sets params from a JSON object; no body stands for {}. Names are
// matched to the letter, and unknown ones are refused: a misspelt option must not
// be ignored.
func (s *Server) bindBody(c echo.Context, params any) error {
	sent, err := readObject(c.Request())
	if err != nil {
		return err
	}
	wrong := s.bind(params, "json", func(name string, field reflect.Value) *fieldError {
		value, given := sent[name]
		delete(sent, name)
		if raw, ok := reflect.TypeAssert[*json.RawMessage](field.Addr()); ok {
			*raw = value // any value will do
			return nil
		}
		if !given || json.Unmarshal(value, field.Addr().Interface()) == nil {
			return nil
		}
		kind := "a string"
		if field.Type() == reflect.TypeFor[*int]() {
			kind = "a whole number"
		}
		return &fieldError{name, "type", name + " must be " + kind}
	})
	if wrong = append(wrong, unknown("body", slices.Sorted(maps.Keys(sent)))...); len(wrong) > 0 {
		return invalid(wrong...)
	}
	return nil
}

// readObject parses the body as a JSON object.
func readObject(r *http.Request) (sent map[string]json.RawMessage, err error) {
	media, err := mediaType(r)
	if err != nil {
		return nil, err
	}
	if media == "" && r.ContentLength == 0 {
		return nil, nil
	}
	if media != echo.MIMEApplicationJSON {
		return nil, newProblem(http.StatusUnsupportedMediaType, "the Content-Type must be application/json")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	if !utf8.Valid(body) {
		return nil, newProblem(http.StatusBadRequest, "the body is not JSON: it is not UTF-8")
	}
	err = json.Unmarshal(body, &sent)
	if _, wrongType := errors.AsType[*json.UnmarshalTypeError](err); wrongType || err == nil && sent == nil {
		return nil, invalid(fieldError{"body", "object", "body must be a JSON object"})
	}
	if err != nil {
		return nil, newProblem(http.StatusBadRequest, "the body is not JSON: "+err.Error())
	}
	return sent, nil
}
