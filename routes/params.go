package routes

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-playground/validator/v10"
	"github.com/labstack/echo/v4"
)

// maxBody is the size of a request body, in bytes.
const maxBody = 64 << 10

// A pattern is a validation rule of our own: what the value must look like, and
// how to say so.
type pattern struct {
	expr *regexp.Regexp
	says string
}

var patterns = map[string]pattern{
	"symbol":  {regexp.MustCompile(`^[A-Za-z0-9.-]{1,12}$`), "must be 1 to 12 of A-Z 0-9 . -"},
	"jobid":   {regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`), "must be 1 to 64 of A-Z a-z 0-9 . _ -"},
	"channel": {regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$`), "must be 1 to 128 of A-Z a-z 0-9 . _ : / -, starting with a letter or digit"},
	"event":   {regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`), "must be 1 to 64 of A-Z a-z 0-9 . _ : -"},
}

// newValidator knows the patterns, and names fields as clients do, by their
// param tag.
func newValidator() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string { return f.Tag.Get("param") })
	for name, p := range patterns {
		match := func(f validator.FieldLevel) bool { return p.expr.MatchString(f.Field().String()) }
		if err := v.RegisterValidation(name, match); err != nil {
			panic(err) // the names above are valid
		}
	}
	return v
}

// A filler sets the field from what the client sent under the name, if anything.
type filler func(name string, field reflect.Value) *fieldError

// bind fills each field of the struct that params points to and validates it.
// Every field gets one error at the most.
func (s *Server) bind(params any, fill filler) []fieldError {
	var wrong []fieldError
	add := func(e fieldError) {
		if !slices.ContainsFunc(wrong, func(w fieldError) bool { return w.Field == e.Field }) {
			wrong = append(wrong, e)
		}
	}
	v := reflect.ValueOf(params).Elem()
	for i := range v.NumField() {
		if e := fill(v.Type().Field(i).Tag.Get("param"), v.Field(i)); e != nil {
			add(*e)
		}
	}
	if invalid, ok := errors.AsType[validator.ValidationErrors](s.validate.Struct(params)); ok {
		for _, e := range invalid {
			name, _, _ := strings.Cut(e.Field(), "[") // name[3] is one of several names
			add(fieldError{name, e.Tag(), name + " " + complaint(e)})
		}
	}
	return wrong
}

func complaint(e validator.FieldError) string {
	if p, ok := patterns[e.Tag()]; ok {
		return p.says
	}
	many := ""
	if e.Kind() == reflect.Slice {
		many = " values"
	}
	switch e.Tag() {
	case "required":
		return "is required"
	case "min":
		return "must be at least " + e.Param() + many
	case "max":
		return "must be at most " + e.Param() + many
	default:
		return "is invalid (" + e.Tag() + ")"
	}
}

// bindQuery fills params from the query. A parameter that is given must be valid:
// an empty one is not the default.
func (s *Server) bindQuery(c echo.Context, params any) error {
	r := c.Request()
	if err := r.ParseForm(); err != nil {
		return invalid(fieldError{"query", "encoding", "query is not URL-encoded: " + err.Error()})
	}
	wrong := s.bind(params, func(name string, field reflect.Value) *fieldError {
		values, given := r.Form[name]
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

func setField(name string, field reflect.Value, value string) *fieldError {
	if field.Kind() == reflect.String {
		field.SetString(value)
		return nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) { // beyond the range n is its end, which no rule allows
		return &fieldError{name, "number", name + " must be a whole number"}
	}
	field.SetInt(n)
	return nil
}

// bindBody fills params from a JSON object. Names are matched to the letter, and
// unknown ones are refused: a misspelt option must not be ignored.
func (s *Server) bindBody(c echo.Context, params any) error {
	body, err := readBody(c)
	if err != nil {
		return err
	}
	var sent map[string]json.RawMessage
	err = json.Unmarshal(body, &sent)
	if _, wrongType := errors.AsType[*json.UnmarshalTypeError](err); wrongType || err == nil && sent == nil {
		return invalid(fieldError{"body", "object", "body must be a JSON object"})
	}
	if err != nil {
		return newProblem(http.StatusBadRequest, "the body is not JSON: "+err.Error())
	}
	wrong := s.bind(params, func(name string, field reflect.Value) *fieldError {
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
	for name := range sent {
		wrong = append(wrong, fieldError{name, "unknown", fmt.Sprintf("%q is not a field of this request", name)})
	}
	if len(wrong) > 0 {
		return invalid(wrong...)
	}
	return nil
}

// readBody returns the JSON text of the request; none at all stands for {}.
func readBody(c echo.Context) ([]byte, error) {
	r := c.Request()
	contentType := r.Header.Get(echo.HeaderContentType)
	if r.ContentLength == 0 && contentType == "" {
		return []byte("{}"), nil
	}
	if media, _, err := mime.ParseMediaType(contentType); err != nil || media != echo.MIMEApplicationJSON {
		return nil, newProblem(http.StatusUnsupportedMediaType, "the Content-Type must be application/json")
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Response().Writer, r.Body, maxBody))
	if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
		return nil, newProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body must be at most %d bytes", maxBody))
	}
	if err != nil {
		return nil, newProblem(http.StatusBadRequest, "the body did not arrive whole")
	}
	if !utf8.Valid(body) {
		return nil, newProblem(http.StatusBadRequest, "the body is not JSON: it is not UTF-8")
	}
	return body, nil
}
