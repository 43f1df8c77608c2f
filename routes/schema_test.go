package routes_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"example.com/sse-demo/routes"
)

// A node is a part of openapi.json.
type node = map[string]any

var openAPI = func() (root node) {
	if err := json.Unmarshal(routes.Description(), &root); err != nil {
		panic(err)
	}
	return root
}()

// resolve follows references.
func resolve(v any) node {
	n, _ := v.(node)
	for n["$ref"] != nil {
		var target any = openAPI
		for name := range strings.SplitSeq(strings.TrimPrefix(n["$ref"].(string), "#/"), "/") {
			target = target.(node)[name]
		}
		if target == nil {
			panic(fmt.Sprint("a reference to nothing: ", n))
		}
		n = target.(node)
	}
	return n
}

// annotations are the keywords that say nothing about what is valid.
var annotations = []string{"description", "default", "format", "contentMediaType"}

// mismatch returns what is wrong with a value, "" if it is valid. It knows the
// keywords of JSON Schema 2020-12 that openapi.json uses, and panics at others.
func mismatch(schema, value any) string {
	n := resolve(schema)
	for _, keyword := range slices.Sorted(maps.Keys(n)) {
		if slices.Contains(annotations, keyword) {
			continue
		}
		check, known := keywords[keyword]
		if !known {
			panic("openapi.json has a keyword that this check does not know: " + keyword)
		}
		if wrong := check(n, n[keyword], value); wrong != "" {
			return wrong
		}
	}
	return ""
}

// keywords return what is wrong with a value, given the whole schema and the
// keyword's own value.
var keywords map[string]func(schema node, want, value any) string

func init() { // mismatch and keywords need each other
	keywords = map[string]func(schema node, want, value any) string{
		"type":  hasType,
		"const": func(_ node, want, v any) string { return unless(want == v, "%v is not %v", v, want) },
		"enum": func(_ node, want, v any) string {
			return unless(slices.Contains(want.([]any), v), "%v is none of %v", v, want)
		},
		"not":   func(_ node, want, v any) string { return unless(mismatch(want, v) != "", "%v is excluded", v) },
		"oneOf": oneOf,
		"pattern": func(_ node, want, v any) string {
			s, ok := v.(string)
			return unless(!ok || compiled(want.(string)).MatchString(s), "%q does not match %s", v, want)
		},
		"minLength": func(_ node, want, v any) string {
			return unless(v == nil || length(v) >= want.(float64), "%v is too short", v)
		},
		"maxLength": func(_ node, want, v any) string { return unless(length(v) <= want.(float64), "%v is too long", v) },
		"minItems": func(_ node, want, v any) string {
			return unless(v == nil || length(v) >= want.(float64), "%v has too few items", v)
		},
		"maxItems": func(_ node, want, v any) string {
			return unless(length(v) <= want.(float64), "%v has too many items", v)
		},
		"minimum": func(_ node, want, v any) string {
			f, ok := v.(float64)
			return unless(!ok || f >= want.(float64), "%v is below %v", v, want)
		},
		"maximum": func(_ node, want, v any) string {
			f, ok := v.(float64)
			return unless(!ok || f <= want.(float64), "%v is above %v", v, want)
		},
		"exclusiveMinimum": func(_ node, want, v any) string {
			f, ok := v.(float64)
			return unless(!ok || f > want.(float64), "%v is not above %v", v, want)
		},
		"required":             required,
		"properties":           properties,
		"additionalProperties": additionalProperties,
		"items":                items,
		"contentSchema":        content,
	}
}

var expressions sync.Map // compiled, by their text

// compiled is regexp.MustCompile for the few expressions that every answer and every
// event is compared with: to compile them each time took most of a run with -race.
func compiled(text string) *regexp.Regexp {
	if expression, ok := expressions.Load(text); ok {
		return expression.(*regexp.Regexp)
	}
	expression := regexp.MustCompile(text)
	expressions.Store(text, expression)
	return expression
}

func unless(ok bool, format string, args ...any) string {
	if ok {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

func hasType(_ node, want, value any) string {
	types, ok := want.([]any)
	if !ok {
		types = []any{want}
	}
	got := map[bool]string{true: "integer", false: "number"}
	for _, t := range types {
		switch v := value.(type) {
		case nil:
			ok = t == "null"
		case string:
			ok = t == "string"
		case bool:
			ok = t == "boolean"
		case []any:
			ok = t == "array"
		case node:
			ok = t == "object"
		case float64:
			ok = t == "number" || t == got[v == math.Trunc(v)]
		}
		if ok {
			return ""
		}
	}
	return fmt.Sprintf("%v is no %v", value, want)
}

func oneOf(_ node, want, value any) string {
	var wrong []string
	for _, schema := range want.([]any) {
		if w := mismatch(schema, value); w != "" {
			wrong = append(wrong, w)
		}
	}
	return unless(len(want.([]any))-len(wrong) == 1, "%v matches %d of oneOf: %q", value, len(want.([]any))-len(wrong), wrong)
}

// length returns how many characters a string has, or how many elements an array.
func length(value any) float64 {
	switch v := value.(type) {
	case string:
		return float64(utf8.RuneCountInString(v))
	case []any:
		return float64(len(v))
	default:
		return 0
	}
}

func required(_ node, want, value any) string {
	object, _ := value.(node)
	for _, name := range want.([]any) {
		if _, there := object[name.(string)]; !there {
			return fmt.Sprintf("%v has no %v", value, name)
		}
	}
	return ""
}

func properties(_ node, want, value any) string {
	object, _ := value.(node)
	for name, schema := range want.(node) {
		if v, there := object[name]; there {
			if wrong := mismatch(schema, v); wrong != "" {
				return name + ": " + wrong
			}
		}
	}
	return ""
}

func additionalProperties(schema node, want, value any) string {
	object, _ := value.(node)
	declared, _ := schema["properties"].(node)
	for name, v := range object {
		if _, known := declared[name]; known {
			continue
		}
		if want == false {
			return fmt.Sprintf("%s is not described", name)
		}
		if wrong := mismatch(want, v); wrong != "" {
			return name + ": " + wrong
		}
	}
	return ""
}

func items(_ node, want, value any) string {
	list, _ := value.([]any)
	for _, v := range list {
		if wrong := mismatch(want, v); wrong != "" {
			return wrong
		}
	}
	return ""
}

// content checks the JSON in a string.
func content(_ node, want, value any) string {
	text, _ := value.(string)
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return fmt.Sprintf("%q: %v", text, err)
	}
	return mismatch(want, v)
}
