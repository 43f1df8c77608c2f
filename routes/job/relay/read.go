package relay

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"example.com/sse-demo/routes/job"
	"example.com/sse-demo/sse"
)

// A dialect is how the model APIs of one kind are asked, and how they answer.
type dialect struct {
	ask       func(question map[string]any, conversation []job.Message)
	authorize func(header http.Header, key string)
	read      func(name string, data []byte) (said, error) // of a JSON object that is no error
}

// What an event says: a piece of the text, how the answer ends, or nothing.
type said struct {
	text text
	word string // with which the answer ends
	why  string // it ends so, or a piece of a refusal
}

// A text is a list of JSON strings. In JSON it is a string, null, or a list of parts, of
// which only parts of type text or output_text count.
type text []json.RawMessage

// UnmarshalJSON implements [json.Unmarshaler].
func (t *text) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		*t = text{slices.Clone(data)}
		return nil
	}
	var parts []struct {
		Type string
		Text json.RawMessage
	}
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	for _, part := range parts {
		var more text
		if part.Type != "text" && part.Type != "output_text" || part.Text == nil {
			continue
		}
		if err := json.Unmarshal(part.Text, &more); err != nil {
			return err
		}
		*t = append(*t, more...)
	}
	return nil
}

// read returns what an event says. An error quotes the event.
func (c *client) read(e sse.Event) (s said, err error) {
	isPlain := e.Name == "" || e.Name == "message"
	var object map[string]json.RawMessage
	err = json.Unmarshal(e.Data, &object)
	if isError(e.Name, isPlain, object) {
		return s, c.failed(e.Data)
	}
	if err == nil {
		s, err = c.dialect.read(e.Name, e.Data)
	} else if !isPlain && !bytes.HasPrefix(e.Data, []byte("{")) {
		return s, nil // such as a ping with the time
	}
	if err != nil {
		err = fmt.Errorf("the upstream sent what is no part of an answer, or is cut off: %s", c.quote(string(e.Data)))
	}
	return s, err
}

// isError reports whether an event is an error, in one of the forms that servers use.
func isError(name string, isPlain bool, object map[string]json.RawMessage) bool {
	isSet := func(field string) bool {
		return !slices.Contains([]string{"", "null", "false", "0", `""`, "[]"}, string(object[field]))
	}
	isAlone := isPlain && !isSet("choices") && !isSet("type")
	kind := strings.ToLower(plain(object["type"])) // such as BadRequestError
	return strings.HasSuffix(strings.ToLower(name), "error") || strings.HasSuffix(kind, "error") || plain(object["object"]) == "error" ||
		slices.ContainsFunc([]string{"error", "errors", "error_code", "error_type"}, isSet) ||
		isAlone && slices.ContainsFunc([]string{"detail", "message", "msg"}, isSet)
}

// readField returns an error that is a line, but no event: a field named error, as
// llama.cpp sends it, or JSON as it stands.
func (c *client) readField(line string) error {
	if text, ok := strings.CutPrefix(line, "error:"); ok {
		return c.failed([]byte(text))
	}
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(line), &object) == nil && isError("", true, object) {
		return c.failed([]byte(line))
	}
	return nil
}

func (c *client) failed(data []byte) error {
	says := cmp.Or(reason(data), string(data), "no reason is given")
	return fmt.Errorf("the upstream failed in the middle of the answer: %s; try again", c.quote(says))
}

// reason returns the upstream's words in an error such as
// {"error":{"message":"Overloaded","type":"overloaded_error"}}.
func reason(data []byte) string {
	kind := ""
	for range 5 { // as deep as an error may be wrapped
		var list []json.RawMessage
		if json.Unmarshal(data, &list) == nil && len(list) > 0 {
			data = list[0]
		}
		var object map[string]json.RawMessage
		if json.Unmarshal(data, &object) != nil {
			break
		}
		first := func(names ...string) []byte {
			i := slices.IndexFunc(names, func(name string) bool { return plain(object[name]) != "" && plain(object[name]) != "error" })
			if i < 0 {
				return nil
			}
			return object[names[i]]
		}
		kind = cmp.Or(plain(first("type", "error_type", "code", "error_code")), kind)
		words := first("message", "detail", "msg", "error_msg", "text")
		data = first("error", "errors")
		if words != nil && !bytes.HasPrefix(data, []byte("{")) && !bytes.HasPrefix(data, []byte("[")) {
			data = words // an error such as true or "Bad Gateway" says less
		}
	}
	if text := plain(data); text != "" && kind != "" {
		return text + " (" + kind + ")"
	}
	return plain(data) + kind
}

// plain returns a JSON string decoded, null as nothing, and anything else as it is.
func plain(data []byte) string {
	var text string
	if json.Unmarshal(data, &text) != nil {
		return string(data)
	}
	return text
}
