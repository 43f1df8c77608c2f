package routes

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-playground/validator/v10"
	"github.com/labstack/echo/v4"
)

// A setter sets the field from what the client sent under the name, if anything.
type setter func(name string, field reflect.Value) *fieldError

// bind sets each field of the struct that params points to, by the name in its
// tag, and validates it. Every field gets one error at the most. Echo's own binder
// stops at the first error and ignores unknown and repeated parameters.
func (s *Server) bind(params any, tag string, set setter) []fieldError {
	var wrong []fieldError
	add := func(e fieldError) {
		if !slices.ContainsFunc(wrong, func(w fieldError) bool { return w.Field == e.Field }) {
			wrong = append(wrong, e)
		}
	}
	v := reflect.ValueOf(params).Elem()
	for i := range v.NumField() {
		if name, ok := v.Type().Field(i).Tag.Lookup(tag); ok {
			if e := set(name, v.Field(i)); e != nil {
				add(*e)
			}
		}
	}
	if invalid, ok := errors.AsType[validator.ValidationErrors](s.validate.Struct(params)); ok {
		for _, e := range invalid {
			name, _, _ := strings.Cut(e.Field(), "[") // name[3] is one of several names
			add(fieldError{name, e.Tag(), name + " " + explain(e)})
		}
	}
	return wrong
}

// bindQuery sets params from the query. A parameter that is given must be valid:
// an empty one is not the default.
func (s *Server) bindQuery(c echo.Context, params any) error {
	pairs := strings.Split(c.Request().URL.RawQuery, "&")
	isLastID := func(pair string) bool { return strings.HasPrefix(pair, "lastEventId=") } // never an error
	query, err := url.ParseQuery(strings.Join(slices.DeleteFunc(pairs, isLastID), "&"))
	if err != nil {
		return invalid(fieldError{"query", "encoding", "query is not URL-encoded: " + err.Error()})
	}
	wrong := s.bind(params, "query", func(name string, field reflect.Value) *fieldError {
		values, given := query[name]
		if !given {
			return nil
		}
		if list, ok := reflect.TypeAssert[*[]string](field.Addr()); ok {
			*list = values
			return nil
		}
		if len(values) > 1 {
			return &fieldError{name, "once", name + " must be given once"}
		}
		return setField(name, field, values[0])
	})
	if len(wrong) > 0 {
		return invalid(wrong...)
	}
	return nil
}

// setField sets a string or an int, or a pointer to one.
func setField(name string, field reflect.Value, value string) *fieldError {
	if field.Kind() == reflect.Pointer {
		field.Set(reflect.New(field.Type().Elem()))
		field = field.Elem()
	}
	if field.Kind() == reflect.String {
		field.SetString(value)
		return nil
	}
	n, err := strconv.ParseInt(value, 10, 0)
	if err != nil && !errors.Is(err, strconv.ErrRange) { // beyond the range n is its end, which no rule allows
		return &fieldError{name, "number", name + " must be a whole number"}
	}
	field.SetInt(n)
	return nil
}

// readBody reads the body of every request that has one, before its handler, so
// that no handler waits for a client. An unread body would also keep net/http from
// noticing that the client of a stream has left.
func (s *Server) readBody(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if r.ContentLength == 0 {
			return next(c)
		}
		if err := answerOf(c).readBody(r); err != nil {
			if r.ProtoMajor == 1 { // the rest of the body would be taken for a request
				c.Response().Header().Set("Connection", "close")
			}
			return s.bodyProblem(err)
		}
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
	sent, err := readObject(c)
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
func readObject(c echo.Context) (sent map[string]json.RawMessage, err error) {
	media, err := mediaType(c.Request())
	if err != nil {
		return nil, err
	}
	if media == "" && c.Request().ContentLength == 0 {
		return nil, nil
	}
	if media != echo.MIMEApplicationJSON {
		return nil, newProblem(http.StatusUnsupportedMediaType, "the Content-Type must be application/json")
	}
	body := answerOf(c).body
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
