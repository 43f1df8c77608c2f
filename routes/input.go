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

// A checker is a struct of parameters with rules that the validator cannot have.
type checker interface {
	check(s *Server) []fieldError
}

// bind sets each field of the struct that params points to, by the name in its tag, and
// validates it. set sets a field from what the client sent under the name, if anything, and
// returns what is wrong with it. Every field gets one error at the most. Echo's own binder
// stops at the first error and ignores unknown and repeated parameters.
func (s *Server) bind(params any, tag string, set func(name string, field reflect.Value) (rule, message string)) []fieldError {
	var wrong []fieldError
	add := func(e fieldError) {
		if !slices.ContainsFunc(wrong, func(w fieldError) bool { return w.Field == e.Field }) {
			wrong = append(wrong, e)
		}
	}
	v := reflect.ValueOf(params).Elem()
	for i := range v.NumField() {
		name, ok := v.Type().Field(i).Tag.Lookup(tag)
		if !ok {
			continue
		}
		if rule, message := set(name, v.Field(i)); rule != "" {
			add(fieldError{name, rule, name + " " + message})
		}
	}
	if invalid, ok := errors.AsType[validator.ValidationErrors](s.validate.Struct(params)); ok {
		for _, e := range invalid {
			name, _, _ := strings.Cut(e.Field(), "[") // name[3] is one of several names
			add(fieldError{name, e.Tag(), name + " " + explain(e)})
		}
	}
	if c, ok := params.(checker); ok {
		for _, e := range c.check(s) {
			add(e)
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
	return invalid(s.bind(params, "query", func(name string, field reflect.Value) (rule, message string) {
		values, given := query[name]
		if !given {
			return "", ""
		}
		if list, ok := reflect.TypeAssert[*[]string](field.Addr()); ok {
			*list = values
			return "", ""
		}
		if len(values) > 1 {
			return "once", "must be given once"
		}
		return setField(field, values[0])
	})...)
}

// setField sets a string or an int, or a pointer to one.
func setField(field reflect.Value, value string) (rule, message string) {
	if field.Kind() == reflect.Pointer {
		field.Set(reflect.New(field.Type().Elem()))
		field = field.Elem()
	}
	if field.Kind() == reflect.String {
		field.SetString(value)
		return "", ""
	}
	n, err := strconv.ParseInt(value, 10, 0)
	if err != nil && !errors.Is(err, strconv.ErrRange) { // beyond the range n is its end, which no rule allows
		return "number", "must be a whole number"
	}
	field.SetInt(n)
	return "", ""
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
	wrong := s.bind(params, "json", func(name string, field reflect.Value) (rule, message string) {
		value, given := sent[name]
		delete(sent, name)
		if raw, ok := reflect.TypeAssert[*json.RawMessage](field.Addr()); ok {
			*raw = value // any value will do
			return "", ""
		}
		if !given || json.Unmarshal(value, field.Addr().Interface()) == nil {
			return "", ""
		}
		switch field.Type() {
		case reflect.TypeFor[*int]():
			return "type", "must be a whole number"
		case reflect.TypeFor[*[]map[string]string]():
			return "type", `must be a list like [{"role":"user","content":"Hello"}]`
		default:
			return "type", "must be a string"
		}
	})
	return invalid(append(wrong, unknown("body", slices.Sorted(maps.Keys(sent)))...)...)
}

// readObject parses the body as a JSON object.
func readObject(c echo.Context) (sent map[string]json.RawMessage, err error) {
	media, err := mediaType(c.Request())
	body := answerOf(c).body
	switch {
	case err != nil:
		return nil, err
	case media == "" && c.Request().ContentLength == 0:
		return nil, nil
	case media != echo.MIMEApplicationJSON:
		return nil, newProblem(http.StatusUnsupportedMediaType, "the Content-Type must be application/json")
	case !utf8.Valid(body):
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
