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
	"unicode/utf8"

	"github.com/labstack/echo/v4"
)

// readBody reads the body of every request that has one, before its handler, so
// that no handler waits for a client. A body that is in the way would also keep
// net/http from noticing that the client of a stream has left.
func (s *Server) readBody(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if r.ContentLength == 0 {
			return next(c)
		}
		body, err := answerOf(c).readBody(r)
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
		switch field.Type() {
		case reflect.TypeFor[*int]():
			kind = "a whole number"
		case reflect.TypeFor[*[]map[string]string]():
			kind = `a list like [{"role":"user","content":"Hello"}]`
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
