package routes

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-playground/validator/v10"
)

// patterns are what values must look like, by the names of the rules.
var patterns = map[string]*regexp.Regexp{
	"symbol":  regexp.MustCompile(`^[A-Za-z0-9.-]{1,12}$`),
	"jobid":   regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`),
	"channel": regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$`),
	"event":   regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`),
}

// reserved are names of events that cannot be published: the first two are the
// service's own, the others reach EventSource's onopen and onerror.
const reserved = "gap busy open error"

// texts say what a value must be, by the names of the rules.
var texts = map[string]string{
	"symbol":     "must be 1 to 12 of A-Z 0-9 . -",
	"jobid":      "must be 1 to 64 of A-Z a-z 0-9 . _ -",
	"channel":    "must be 1 to 128 of A-Z a-z 0-9 . _ : / -, starting with a letter or digit",
	"event":      "must be 1 to 64 of A-Z a-z 0-9 . _ : -",
	"unreserved": "must not be gap, busy, open or error",
	"required":   "is required",
	"min":        "must be at least",
	"max":        "must be at most",
}

// maxOtherData is how many bytes of data an event may have that another program has
// published.
const maxOtherData = 1 << 20

// CheckEvent returns why an event that was not published over HTTP cannot be sent to
// clients; nil if it can. name is "" for none.
func CheckEvent(channel, name string, data []byte) error {
	switch {
	case !patterns["channel"].MatchString(channel):
		return fmt.Errorf("the channel %q %s", channel, texts["channel"])
	case name != "" && !patterns["event"].MatchString(name):
		return fmt.Errorf("the event's name %q %s", name, texts["event"])
	case slices.Contains(strings.Fields(reserved), name):
		return fmt.Errorf("the event's name %s", texts["unreserved"])
	case len(data) > maxOtherData:
		return fmt.Errorf("%d bytes of data are too many, at most %d are sent", len(data), maxOtherData)
	case !utf8.Valid(data):
		return errors.New("the data is not UTF-8")
	default:
		return nil
	}
}

// validate knows the rules, and names fields as clients do, by their tags.
var validate = func() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string { return cmp.Or(f.Tag.Get("query"), f.Tag.Get("json")) })
	v.RegisterAlias("unreserved", "noneof="+reserved)
	for name, pattern := range patterns {
		matches := func(f validator.FieldLevel) bool { return pattern.MatchString(f.Field().String()) }
		_ = v.RegisterValidation(name, matches) // it fails for no name above
	}
	return v
}()

// units follow a number, by the kind of the field that it limits.
var units = map[reflect.Kind]string{reflect.Slice: " values", reflect.String: " characters"}

// explain says what a value must be.
func explain(e validator.FieldError) string {
	text := texts[e.Tag()]
	if e.Tag() == "min" || e.Tag() == "max" {
		text += " " + e.Param() + units[e.Kind()]
	}
	return text
}
