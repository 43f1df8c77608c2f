package routes

import (
	"errors"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

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
