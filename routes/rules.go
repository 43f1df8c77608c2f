package routes

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"unicode/utf8"

	"github.com/go-playground/validator/v10"
)

// A rule is a validation rule that the validator does not have: what a value must look
// like, and the words for it.
type rule struct {
	expr    string // "" if it is no regular expression
	matches func(value string) bool
	text    string
}

func pattern(expr, text string) rule {
	return rule{expr, regexp.MustCompile(expr).MatchString, text}
}

// reserved are names of events that cannot be published: the first two are the
// service's own, the others reach EventSource's onopen and onerror.
var reserved = []string{"gap", "busy", "open", "error"}

var rules = map[string]rule{
	"symbol":     pattern(`^[A-Za-z0-9.-]{1,12}$`, "must be 1 to 12 of A-Z 0-9 . -"),
	"jobid":      pattern(`^[A-Za-z0-9._-]{1,64}$`, "must be 1 to 64 of A-Z a-z 0-9 . _ -"),
	"channel":    pattern(`^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$`, "must be 1 to 128 of A-Z a-z 0-9 . _ : / -, starting with a letter or digit"),
	"event":      pattern(`^[A-Za-z0-9._:-]{1,64}$`, "must be 1 to 64 of A-Z a-z 0-9 . _ : -"),
	"unreserved": {"", func(name string) bool { return !slices.Contains(reserved, name) }, "must not be gap, busy, open or error"},
}

// maxOtherData is how many bytes of data an event may have that another program has
// published.
const maxOtherData = 1 << 20

// CheckEvent returns why an event that was not published over HTTP cannot be sent to
// clients; nil if it can. name is "" for none.
func CheckEvent(channel, name string, data []byte) error {
	switch {
	case !rules["channel"].matches(channel):
		return fmt.Errorf("the channel %q %s", channel, rules["channel"].text)
	case name != "" && !rules["event"].matches(name):
		return fmt.Errorf("the event's name %q %s", name, rules["event"].text)
	case !rules["unreserved"].matches(name):
		return fmt.Errorf("the event's name %s", rules["unreserved"].text)
	case len(data) > maxOtherData:
		return fmt.Errorf("%d bytes of data are too many, at most %d are sent", len(data), maxOtherData)
	case !utf8.Valid(data):
		return errors.New("the data is not UTF-8")
	default:
		return nil
	}
}

// newValidator knows the rules, and names fields as clients do, by their tags.
func newValidator() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string {
		if name := f.Tag.Get("query"); name != "" {
			return name
		}
		return f.Tag.Get("json")
	})
	for name, r := range rules {
		match := func(f validator.FieldLevel) bool { return r.matches(f.Field().String()) }
		if err := v.RegisterValidation(name, match); err != nil {
			panic(err) // the names above are valid
		}
	}
	return v
}

// explain describes what a value must be.
func explain(e validator.FieldError) string {
	if r, ok := rules[e.Tag()]; ok {
		return r.text
	}
	unit := ""
	switch e.Kind() {
	case reflect.Slice:
		unit = " values"
	case reflect.String:
		unit = " characters"
	}
	switch e.Tag() {
	case "required":
		return "is required"
	case "min":
		return "must be at least " + e.Param() + unit
	case "max":
		return "must be at most " + e.Param() + unit
	default:
		return "is invalid (" + e.Tag() + ")"
	}
}
