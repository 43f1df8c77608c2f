package routes

import (
	"encoding/json"
	"errors"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-playground/validator/v10"
	"github.com/labstack/echo/v4"
)

// A checker is a struct of parameters with rules that its tags cannot express.
type checker interface {
	check(s *Server) []fieldError
}

// bindQuery sets params, a pointer to a struct, from the query, by the names in the fields'
// tags, and validates it. A parameter that is given must be valid: an empty one is not the
// default. Echo's own binder stops at the first error and ignores repeated parameters.
func (s *Server) bindQuery(c echo.Context, params any) error {
	pairs := strings.Split(c.Request().URL.RawQuery, "&")
	query, err := url.ParseQuery(strings.Join(slices.DeleteFunc(pairs, isLastEventID), "&"))
	if err != nil {
		return invalid([]fieldError{{"query", "encoding", "query is not URL-encoded: " + err.Error()}})
	}
	var wrong []fieldError
	for f, field := range reflect.ValueOf(params).Elem().Fields() {
		name, isTagged := f.Tag.Lookup("query")
		values := query[name]
		switch {
		case !isTagged || len(values) == 0:
		case field.Kind() == reflect.Slice:
			field.Set(reflect.ValueOf(values))
		case len(values) > 1:
			wrong = append(wrong, fieldError{name, "once", name + " must be given once"})
		case !setField(field, values[0]):
			wrong = append(wrong, fieldError{name, "number", name + " must be a whole number"})
		}
	}
	return invalid(append(wrong, s.check(params)...))
}

// isLastEventID reports whether a pair of the query is read by sse.LastEventID: a bad one is
// never an error.
func isLastEventID(pair string) bool {
	name, _, _ := strings.Cut(pair, "=")
	name, _ = url.QueryUnescape(name)
	return name == "lastEventId"
}

// setField sets a string or an int, or a pointer to one. It returns false if the value is no
// whole number.
func setField(field reflect.Value, value string) bool {
	if field.Kind() == reflect.Pointer {
		field.Set(reflect.New(field.Type().Elem()))
		field = field.Elem()
	}
	if field.Kind() == reflect.String {
		field.SetString(value)
		return true
	}
	n, err := strconv.Atoi(value)
	field.SetInt(int64(n))
	return err == nil || errors.Is(err, strconv.ErrRange) // beyond the range n is its end, which no rule allows
}

// check returns what the validator and the struct's own rules find wrong.
func (s *Server) check(params any) (wrong []fieldError) {
	if broken, ok := errors.AsType[validator.ValidationErrors](validate.Struct(params)); ok {
		for _, e := range broken {
			name, _, _ := strings.Cut(e.Field(), "[") // name[3] is one of several names
			wrong = append(wrong, fieldError{name, e.Tag(), name + " " + explain(e)})
		}
	}
	if c, ok := params.(checker); ok {
		wrong = append(wrong, c.check(s)...)
	}
	return wrong
}

// mediaType is the type of the body without its parameters, "" if none is given.
func mediaType(r *http.Request) (string, error) {
	for _, coding := range r.Header.Values(echo.HeaderContentEncoding) {
		if !strings.EqualFold(coding, "identity") {
			return "", newProblem(http.StatusUnsupportedMediaType, "the body must be sent as it is, without a Content-Encoding")
		}
	}
	text := r.Header.Get(echo.HeaderContentType)
	media, params, err := mime.ParseMediaType(text)
	if err != nil && text != "" {
		return "", newProblem(http.StatusUnsupportedMediaType, "the Content-Type is malformed")
	}
	isUTF8 := slices.Contains([]string{"", "utf-8", "utf8", "us-ascii"}, strings.ToLower(params["charset"]))
	if !isUTF8 && media != echo.MIMEApplicationJSON { // which has no such parameter (RFC 8259, section 11)
		return "", newProblem(http.StatusUnsupportedMediaType, "the charset of the body must be UTF-8")
	}
	return media, nil
}

// jsonTypes are the types that a field of a body can have, as clients call them.
var jsonTypes = map[reflect.Type]string{
	reflect.TypeFor[string]():               "a string",
	reflect.TypeFor[*string]():              "a string",
	reflect.TypeFor[*int]():                 "a whole number",
	reflect.TypeFor[*[]map[string]string](): `a list like [{"role":"user","content":"Hello"}]`,
}

// bindBody sets params from a JSON object, as bindQuery does from the query; no body stands
// for {}. Names are matched to the letter, and unknown ones are refused: a misspelt option
// must not be ignored.
func (s *Server) bindBody(c echo.Context, params any) error {
	sent, err := readObject(c)
	if err != nil {
		return err
	}
	var wrong []fieldError
	for f, field := range reflect.ValueOf(params).Elem().Fields() {
		name := f.Tag.Get("json")
		value, given := sent[name]
		delete(sent, name)
		if given && json.Unmarshal(value, field.Addr().Interface()) != nil {
			wrong = append(wrong, fieldError{name, "type", name + " must be " + jsonTypes[field.Type()]})
		}
	}
	wrong = append(wrong, s.check(params)...)
	return invalid(append(wrong, unknown("body", slices.Sorted(maps.Keys(sent)))...))
}

// readObject parses the body as a JSON object.
func readObject(c echo.Context) (sent map[string]json.RawMessage, err error) {
	media, err := mediaType(c.Request())
	body := answerOf(c).body
	switch {
	case err != nil:
		return nil, err
	case media == "" && len(body) == 0:
		return nil, nil
	case media != echo.MIMEApplicationJSON:
		return nil, newProblem(http.StatusUnsupportedMediaType, "the Content-Type must be application/json")
	case !utf8.Valid(body):
		return nil, newProblem(http.StatusBadRequest, "the body is not JSON: it is not UTF-8")
	}
	err = json.Unmarshal(body, &sent)
	if _, wrongType := errors.AsType[*json.UnmarshalTypeError](err); wrongType || err == nil && sent == nil {
		return nil, invalid([]fieldError{{"body", "object", "body must be a JSON object"}})
	}
	if err != nil {
		return nil, newProblem(http.StatusBadRequest, "the body is not JSON: "+err.Error())
	}
	return sent, nil
}
