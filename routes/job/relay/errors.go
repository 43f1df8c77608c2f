package relay

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// eventType matches the types of events, unlike those of errors, such as about:blank and
// BadRequest.
var eventType = regexp.MustCompile(`^[a-z0-9_.-]+$`)

// isError reports whether an event is an error, in one of the forms that servers use.
func (d dialect) isError(name string, object map[string]any) bool {
	kind, _ := object["type"].(string)
	isErrorName := func(s string) bool { return strings.HasSuffix(strings.ToLower(s), "error") }
	has := func(member string) bool { return isSet(object[member]) }
	switch {
	case isErrorName(name), isErrorName(kind), object["object"] == "error",
		has("error"), has("errors"), has("error_code"), has("error_type"):
		return true
	case name != "", has("choices"), d.isTyped && eventType.MatchString(kind):
		return false // known to the dialect, or to be skipped
	default:
		message, _ := cmp.Or(object["message"], object["msg"]).(string)
		return message != "" || has("detail") || has("title") && has("status")
	}
}

// isSet reports whether a member has a value other than those that stand for none.
func isSet(v any) bool {
	list, isList := v.([]any)
	return len(list) > 0 || !isList && !slices.Contains([]any{nil, false, 0.0, ""}, v)
}

// words returns what an error and those that it wraps say, such as "Overloaded
// (overloaded_error)" for {"error":{"message":"Overloaded","type":"overloaded_error"}}; ""
// if it says nothing in a known form.
func words(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		if len(v) > 0 {
			return words(v[0])
		}
	case map[string]any:
		says := members(v, "title", "error", "errors", "message", "detail", "msg", "error_msg", "text")
		kinds := members(v, "type", "error_type", "code", "error_code", "status")
		if len(says) > 0 && len(kinds) > 0 {
			return strings.Join(says, ": ") + " (" + kinds[0] + ")"
		}
		return strings.Join(append(says, kinds...), ": ")
	}
	return ""
}

// members returns the words of these members, as far as they say something.
func members(object map[string]any, names ...string) (says []string) {
	for _, name := range names {
		text := words(object[name])
		if !slices.Contains(append(says, "", "error", "about:blank"), text) {
			says = append(says, text)
		}
	}
	return says
}
