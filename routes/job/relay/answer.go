package relay

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/sse-demo/routes/job"
	"example.com/sse-demo/sse"
)

// A dialect is how the model APIs of one kind are asked, and how they answer.
type dialect struct {
	ask       func(question map[string]any, conversation []job.Message)
	authorize func(header http.Header, key string)
	isTyped   bool // an event has a type, or a name that says it; otherwise it has choices and no name
	read      func(a *answer, kind string, data []byte) error
}

// dialects have the names of --answer-api.
var dialects = map[string]dialect{"chat": chat, "responses": responses, "messages": messages}

// An answer is what the upstream has said so far.
type answer struct {
	*Upstream
	body    io.Reader
	silence *time.Timer

	text    text   // what take has not returned yet
	begun   bool   // take has returned some
	word    string // with which the answer ends
	why     string // it ends so, or what the model refuses
	failure string // of the upstream
	isOver  bool   // nothing more counts
}

// events returns the reader of the answer. The last event needs no blank line.
func (a *answer) events() *sse.Reader {
	events := sse.NewReader(io.MultiReader(a, strings.NewReader("\n\n")))
	events.MaxEvent = MaxEvent
	events.OnFault = func(f sse.Fault) {
		text, isField := strings.CutPrefix(f.Text, "error:")
		switch {
		case f.Kind != sse.UnknownField:
		case isField: // to llama.cpp
			a.read("error", []byte(text))
		case text[0] == '{': // an object without a field, mostly an error
			a.read("", []byte(text))
		}
	}
	return events
}

// Read reads the body. Every byte is a sign of life.
func (a *answer) Read(p []byte) (int, error) {
	n, err := a.body.Read(p)
	if a.word == "" {
		a.silence.Reset(a.Silence)
	}
	return n, err
}

// read handles one event.
func (a *answer) read(name string, data []byte) {
	if name == "message" { // as if it had none
		name = ""
	}
	data = bytes.TrimSpace(data)
	var object map[string]any
	err := json.Unmarshal(data, &object)
	kind, _ := object["type"].(string)
	switch {
	case a.isOver:
	case string(data) == "[DONE]": // in every dialect
		a.end("[DONE]")
		a.isOver = true
	case a.dialect.isError(name, object):
		a.fail(cmp.Or(words(object), string(data), "no reason is given"))
	case len(data) == 0, name != "" && (!a.dialect.isTyped || data[0] != '{'):
		// such as a ping with the time
	case err != nil || a.dialect.read(a, cmp.Or(kind, name), data) != nil:
		a.fail("it sent what is no part of an answer, or is cut off: " + string(data))
	}
}

func (a *answer) fail(why string) {
	a.failure, a.isOver = why, true
	a.silence.Reset(0) // the connection may stay open
}

// complete are the words that mean that an answer is complete. Any other word means that
// it is not. [DONE] is the last line of most streams, and counts if no word was before it.
var complete = []string{"stop", "eos", "end_turn", "stop_sequence", "completed", "[DONE]"}

// end notes a word with which the answer ends. After a bad one no other counts.
func (a *answer) end(word string) {
	if word != "" && (a.word == "" || slices.Contains(complete, a.word)) {
		a.word = word
		a.silence.Reset(lastWords)
	}
}

// judge returns nil if the answer is complete. err is why nothing more can be read.
func (a *answer) judge(ctx context.Context, err error) error {
	switch {
	case a.word == "" && a.why == "" && a.failure == "":
		return a.broken(ctx, err)
	case a.word != "" && !slices.Contains(complete, a.word):
		why := cmp.Or(a.failure, a.why, "it may be cut off; ask for a shorter one, or try again")
		return fmt.Errorf("the upstream ended the answer with %q: %s", a.quote(a.word), a.quote(why))
	case a.failure != "":
		return fmt.Errorf("the upstream failed in the middle of the answer: %s; try again", a.quote(a.failure))
	case a.why != "":
		return fmt.Errorf("the model refuses to answer: %s", a.quote(a.why))
	case !a.begun:
		return errors.New("the upstream ended the answer before its first word; try again, or ask in other words")
	default:
		return nil
	}
}

// take returns the text that has come since the last call. The first half of a surrogate
// pair waits for the second one, unless nothing follows.
func (a *answer) take() (piece string) {
	end := len(a.text)
	if half := firstHalf.FindSubmatchIndex(a.text); half != nil && !a.isOver {
		end = half[2]
	}
	piece, a.text = a.text[:end].String(), a.text[end:]
	a.begun = a.begun || piece != ""
	return piece
}

// firstHalf finds the first half of a surrogate pair at the end of a text.
var firstHalf = regexp.MustCompile(`^(?:[^\\]|\\.)*?(\\u[dD][89abAB][0-9a-fA-F]{2})$`)

// A text is the inside of a JSON string, with its escapes, because a surrogate pair may be
// split over two strings. In JSON it is a string, null, a part of a message, or a list of
// parts. Parts of types other than text have none.
type text []byte

// UnmarshalJSON implements [json.Unmarshaler]. It appends.
func (t *text) UnmarshalJSON(data []byte) (err error) {
	switch data[0] {
	case '"':
		*t = append(*t, data[1:len(data)-1]...)
	case '{':
		var part struct {
			Type string
			Text json.RawMessage
		}
		err = json.Unmarshal(data, &part)
		if slices.Contains([]string{"", "text", "output_text", "text_delta"}, part.Type) && part.Text != nil {
			err = t.UnmarshalJSON(part.Text)
		}
	default:
		var parts []text
		err = json.Unmarshal(data, &parts)
		*t = append(*t, slices.Concat(parts...)...)
	}
	return err
}

// String decodes the text. Half a surrogate pair becomes U+FFFD.
func (t text) String() (s string) {
	_ = json.Unmarshal(slices.Concat([]byte{'"'}, t, []byte{'"'}), &s) // it was valid in an event
	return s
}

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
