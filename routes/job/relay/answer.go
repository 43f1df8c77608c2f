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
	key     string // how the key is sent, up to the key
	ask     func(header http.Header, question map[string]any, conversation []job.Message)
	isTyped bool // an event has a type, or a name in its place; otherwise it has choices and no name
	read    func(a *answer, kind string, event any)
}

// dialects have the names of --answer-api.
var dialects = map[string]*dialect{"chat": &chat, "responses": &responses, "messages": &messages}

// An answer is what the upstream has said so far.
type answer struct {
	*Upstream
	body    io.Reader
	silence *time.Timer

	text     string // with its escapes; what take has not returned yet
	begun    bool   // there was a text
	inPieces bool   // the text comes in pieces
	word     string // with which the answer ends
	why      string // it ends so, or what the model refuses
	isOver   bool   // nothing more counts
}

// events returns the reader of the answer. The last event needs no blank line.
func (a *answer) events() *sse.Reader {
	events := sse.NewReader(io.MultiReader(a, strings.NewReader("\n\n")))
	events.MaxEvent = MaxEvent
	events.OnFault = func(f sse.Fault) {
		text, isError := strings.CutPrefix(f.Text, "error:")
		switch {
		case f.Kind != sse.UnknownField:
		case isError: // of llama.cpp
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
	event, err := parse(data)
	kind := words(at(event, "type"))
	switch {
	case a.isOver:
	case string(data) == "[DONE]": // in every dialect; it counts if no word was before it
		a.end(cmp.Or(a.word, "stop"))
		a.isOver = true
	case a.dialect.isError(name, event):
		a.fail(cmp.Or(words(event), string(data), "no reason is given"))
	case len(data) == 0, name != "" && (!a.dialect.isTyped || data[0] != '{'):
		// such as a ping with the time
	case err != nil:
		a.fail("it sent what is no part of an answer, or is cut off: " + string(data))
	default:
		a.dialect.read(a, cmp.Or(kind, name), event)
	}
}

// add adds a text: a string, a part of a message, or a list of them. Parts of types other
// than text have none.
func (a *answer) add(v any) {
	switch v := v.(type) {
	case nil:
	case string:
		a.text += v
		a.begun = a.begun || v != ""
	case []any:
		for _, part := range v {
			a.add(part)
		}
	case map[string]any:
		if slices.Contains([]string{"", "text", "output_text", "text_delta"}, words(v["type"])) {
			a.add(v["text"])
		}
	default:
		a.fail("it sent what is no part of an answer: " + fmt.Sprint(v))
	}
}

// lastWords is how long the stream may go on after the word with which the answer ends.
// Some servers report an error only then.
const lastWords = 5 * time.Second

// end notes a word with which the answer ends. After a bad one no other counts.
func (a *answer) end(word string) {
	if word != "" && (a.word == "" || isComplete(a.word)) {
		a.word = word
		a.silence.Reset(lastWords)
	}
}

// isComplete reports whether the word means that the answer is complete. Any other word
// means that it is not.
func isComplete(word string) bool {
	return slices.Contains([]string{"stop", "eos", "end_turn", "stop_sequence", "completed"}, word)
}

// fail ends the answer with an error of the upstream.
func (a *answer) fail(why string) {
	a.end("error")
	a.why, a.isOver = why, true
	a.silence.Reset(0) // the connection may stay open
}

// judge returns nil if the answer is complete. err is why nothing more can be read.
func (a *answer) judge(ctx context.Context, err error) error {
	switch {
	case a.word != "" && !isComplete(a.word):
		why := a.quote(cmp.Or(a.why, "it may be cut off"))
		return fmt.Errorf("the upstream ended the answer with %q: %s; try again, or ask for a shorter one", a.quote(a.word), why)
	case a.why != "":
		return fmt.Errorf("the model refuses to answer: %s", a.quote(a.why))
	case a.word != "" && a.begun:
		return nil
	case a.word != "":
		return errors.New("the upstream ended the answer before its first word; try again, or ask in other words")
	case context.Cause(ctx) != nil: // cancelled, silent or overdue
		return context.Cause(ctx)
	case errors.Is(err, io.EOF):
		return errors.New("the upstream ended its answer without saying that it is complete; try again")
	case errors.Is(err, sse.ErrTooLong), errors.As(err, new(*http.MaxBytesError)):
		return fmt.Errorf("the upstream sent more than %d MiB for one answer, or %d MiB for a part of it", MaxResponse>>20, MaxEvent>>20)
	default:
		return fmt.Errorf("the connection to the upstream broke in the middle of the answer (%s); try again", a.reason(err))
	}
}

// take returns the text that has come since the last call. The first half of a surrogate
// pair waits for the second one, unless nothing follows.
func (a *answer) take() (piece string) {
	end := len(a.text)
	if half := firstHalf.FindStringSubmatchIndex(a.text); half != nil && !a.isOver {
		end = half[2]
	}
	piece, a.text = unescape(a.text[:end]), a.text[end:]
	return piece
}

// firstHalf finds the first half of a surrogate pair at the end of a text.
var firstHalf = regexp.MustCompile(`^(?:[^\\]|\\.)*?(\\u[dD][89abAB][0-9a-fA-F]{2})$`)

// keepEscapes doubles the backslashes in JSON.
var keepEscapes = strings.NewReplacer(`\\`, `\\\\`, `\"`, `\\u0022`, `\`, `\\`)

// parse parses an object in JSON. Its strings keep their escapes, because a surrogate pair
// may be split over two of them.
func parse(data []byte) (object map[string]any, err error) {
	if !json.Valid(data) {
		return nil, errors.New("no JSON")
	}
	err = json.Unmarshal([]byte(keepEscapes.Replace(string(data))), &object)
	return object, err
}

// unescape decodes the escapes of a string. Half a surrogate pair becomes U+FFFD.
func unescape(text string) (s string) {
	_ = json.Unmarshal([]byte(`"`+text+`"`), &s) // it was valid
	return s
}

// at returns the value at a path of members; nil if there is none.
func at(v any, path ...string) any {
	for _, member := range path {
		object, isObject := v.(map[string]any)
		if !isObject && v != nil {
			return false // which is no text
		}
		v = object[member]
	}
	return v
}

// Types of events, unlike those of errors, such as about:blank and BadRequest.
var eventType = regexp.MustCompile(`^[a-z0-9_.-]+$`)

// isError reports whether an event is an error, in one of the forms that servers use.
func (d *dialect) isError(name string, event any) bool {
	kind, object := words(at(event, "type")), at(event, "object")
	has := func(member string) bool { return isSet(at(event, member)) }
	isErrorName := func(s string) bool { return strings.HasSuffix(strings.ToLower(s), "error") }
	switch {
	case isErrorName(name), isErrorName(kind), object == "error",
		slices.ContainsFunc([]string{"error", "errors", "error_code", "error_type", "error_msg", "error_message"}, has):
		return true
	case name != "", has("choices"), d.isTyped && eventType.MatchString(kind):
		return false // known to the dialect, or to be skipped
	default:
		message := words(at(event, "message")) + words(at(event, "msg"))
		return message != "" || has("detail") || has("title") && has("status")
	}
}

// isSet reports whether a member has a value other than those that stand for none.
func isSet(v any) bool {
	return !slices.Contains([]string{"<nil>", "false", "0", "", "[]"}, fmt.Sprint(v))
}

// words returns what an error and those that it wraps say, such as "Overloaded,
// overloaded_error" for {"error":{"message":"Overloaded","type":"overloaded_error"}}; "" if
// it says nothing in a known form.
func words(v any) string {
	switch v := v.(type) {
	case string:
		return unescape(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		if len(v) > 0 {
			return words(v[0])
		}
	case map[string]any:
		var says []string
		for _, member := range []string{
			"title", "error", "errors", "message", "error_message", "detail", "msg", "error_msg", "reason", "text",
			"type", "error_type", "code", "error_code", "status",
		} {
			if text := words(v[member]); !slices.Contains(append(says, "", "error", "about:blank"), text) {
				says = append(says, text)
			}
		}
		return strings.Join(says, ", ")
	}
	return ""
}
