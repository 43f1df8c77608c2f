package relay

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"example.com/sse-demo/routes/job"
	"example.com/sse-demo/sse"
)

// A dialect is how the model APIs of one kind are asked, and how they answer.
type dialect struct {
	key          string // how the key is sent, up to the key
	conversation string // the member of the question that has it
	prepare      func(header http.Header, question map[string]any, conversation []job.Message)
	isTyped      bool // an event has a type, or a name in its place; otherwise it has choices and no name
	read         func(a *answer, kind string, event object)
}

// dialects have the names of --answer-api.
var dialects = map[string]*dialect{"chat": &chat, "responses": &responses, "messages": &messages}

// An answer is what the upstream has said so far.
type answer struct {
	*Upstream
	silence *time.Timer

	text     []byte // with the escapes of JSON; what take has not returned yet
	begun    bool   // there was a text
	inDeltas bool   // the text comes in deltas
	lines    []byte // JSON without a field that is not complete yet
	word     string // with which the answer ends
	why      string // it ends so, or what the model refuses
	err      error  // why nothing more counts
}

// read handles an event.
func (a *answer) read(name string, data []byte) {
	data = bytes.TrimSpace(data)
	if name == "message" { // as if it had none
		name = ""
	}
	var event object
	err := json.Unmarshal(data, &event)
	switch {
	case len(a.lines) > 0: // they were not completed
		a.fail(malformed + string(a.lines))
	case a.err != nil:
	case string(data) == "[DONE]": // in every dialect; it counts if no word was before it
		a.end(value(`"stop"`))
		a.err = io.EOF
	case a.dialect.isError(name, event):
		a.fail(cmp.Or(words(data), "no reason is given"))
	case len(data) == 0, name != "" && (!a.dialect.isTyped || data[0] != '{'):
		// such as a ping with the time
	case err != nil:
		a.fail(malformed + string(data))
	default:
		a.dialect.read(a, cmp.Or(text(event["type"]), name), event)
	}
}

// add adds a text, or what is text in a part of a message or in a list of them.
func (a *answer) add(v value) {
	parts := []value{v}
	_ = json.Unmarshal(v, &parts) // it may be a list
	for _, part := range parts {
		kind, said := "text", part
		if bytes.HasPrefix(part, []byte("{")) {
			members := decode[object](a, part)
			kind, said = text(members["type"]), members["text"]
		}
		switch {
		case said == nil, !slices.Contains([]string{"", "text", "output_text", "text_delta"}, kind):
		case said[0] == '"':
			a.text = append(a.text, said[1:len(said)-1]...)
			a.begun = true
			if a.word != "" { // the word was too early
				a.silence.Reset(lastWords)
			}
		default:
			a.fail(malformed + string(said))
		}
	}
}

// firstHalf finds the first half of a surrogate pair at the end of a text.
var firstHalf = regexp.MustCompile(`^(?:[^\\]|\\.)*?(\\u[dD][89abAB][0-9a-fA-F]{2})$`)

// take returns the text that has come since the last call, but for a first half, unless
// nothing follows.
func (a *answer) take() (piece string) {
	end := len(a.text)
	if half := firstHalf.FindSubmatchIndex(a.text); half != nil && a.err == nil {
		end = half[2]
	}
	piece, a.text = text(value(`"`+string(a.text[:end])+`"`)), a.text[end:]
	return piece
}

// complete are the words that mean that the answer is complete. Any other does not.
var complete = []string{"stop", "eos", "end_turn", "stop_sequence", "completed"}

// lastWords is how long the stream may go on after its last word or text. Some errors come
// only then.
const lastWords = 5 * time.Second

// end notes a word with which the answer ends. After a bad one no other counts.
func (a *answer) end(word value) {
	if isSet(word) && (a.word == "" || slices.Contains(complete, a.word)) {
		a.word = cmp.Or(text(word), string(word))
		a.silence.Reset(lastWords)
	}
}

const malformed = "it sent what is no part of an answer, or is cut off: "

// fail ends the answer with an error of the upstream.
func (a *answer) fail(why string) {
	a.end(value(`"error"`))
	a.why, a.err = why, io.EOF
	a.silence.Reset(0) // the connection may stay open
}

// judge returns nil if the answer is complete.
func (a *answer) judge(ctx context.Context) error {
	switch {
	case a.word != "" && !slices.Contains(complete, a.word):
		todo := "try again, or ask in other words"
		if slices.Contains([]string{"length", "max_tokens", "max_output_tokens"}, a.word) {
			todo = "ask for a shorter one"
		}
		why := cmp.Or(a.quote(a.why), "it may be cut off")
		return fmt.Errorf("the upstream ended the answer with %q: %s; %s", a.quote(a.word), why, todo)
	case a.why != "":
		return fmt.Errorf("the model refuses to answer: %s", a.quote(a.why))
	case a.word != "" && a.begun:
		return nil
	case a.word != "":
		return errors.New("the upstream ended the answer before its first word; try again, or ask in other words")
	case context.Cause(ctx) != nil: // cancelled, silent or overdue
		return context.Cause(ctx)
	case errors.Is(a.err, sse.ErrTooLong), errors.As(a.err, new(*http.MaxBytesError)):
		return fmt.Errorf("the upstream sent more than %d MiB for one answer, or %d MiB for a part of it", MaxResponse>>20, MaxEvent>>20)
	default:
		return fmt.Errorf("the upstream ended its answer without saying that it is complete (%s); try again", a.reason(a.err))
	}
}

// A value is JSON. It is decoded only when it counts, because a surrogate pair may be split
// over two strings.
type value = json.RawMessage

// An object has the members that are not null or empty.
type object map[string]value

// UnmarshalJSON implements [json.Unmarshaler].
func (o *object) UnmarshalJSON(data []byte) error {
	err := json.Unmarshal(data, (*map[string]value)(o))
	maps.DeleteFunc(*o, func(_ string, v value) bool { return slices.Contains([]string{"null", `""`, "[]"}, string(v)) })
	return err
}

// isSet reports whether a value is other than those that stand for none.
func isSet(v value) bool {
	return !slices.Contains([]string{"", "null", "false", "0", `""`, "[]"}, string(v))
}

// decode decodes a value, if there is one. If it has another shape, the answer fails.
func decode[T any](a *answer, v value) (decoded T) {
	if v != nil && json.Unmarshal(v, &decoded) != nil {
		a.fail(malformed + string(v))
	}
	return decoded
}

// text decodes a string. Half a surrogate pair becomes U+FFFD.
func text(v value) (s string) {
	_ = json.Unmarshal(v, &s) // "" if it is something else
	return s
}

// Types of events, unlike those of errors, such as about:blank and BadRequest.
var eventType = regexp.MustCompile(`^[a-z0-9_.-]+$`)

// isError reports whether an event is an error, in one of the forms that servers use.
func (d *dialect) isError(name string, event object) bool {
	kind := text(event["type"])
	has := func(member string) bool { return isSet(event[member]) }
	isErrorName := func(s string) bool { return strings.HasSuffix(strings.ToLower(s), "error") }
	isNamed := slices.ContainsFunc([]string{name, kind, text(event["object"])}, isErrorName) ||
		slices.ContainsFunc([]string{"error", "errors", "error_code", "error_type", "error_msg", "error_message"}, has)
	isKnown := name != "" || has("choices") || d.isTyped && eventType.MatchString(kind)
	complains := has("message") && event["message"][0] != '{' || has("msg") || has("detail") || has("title") && has("status")
	return isNamed || complains && !isKnown
}

// complaints finds what members of an error say.
var complaints = regexp.MustCompile(
	`"(?:title|errors?|(?:error_)?(?:message|msg|type|code)|detail|reason|text|status)"\s*:\s*("(?:[^"\\]|\\.)+"|[-.\d]+)`)

// words returns what an error says, such as "overloaded_error, Overloaded" for
// {"error":{"type":"overloaded_error","message":"Overloaded"}}, or else the whole of it.
func words(v value) string {
	var says []string
	for _, member := range complaints.FindAllSubmatch(v, 20) {
		if said := cmp.Or(text(member[1]), string(member[1])); !slices.Contains(append(says, "error", "about:blank"), said) {
			says = append(says, said)
		}
	}
	return cmp.Or(strings.Join(says, ", "), text(v), string(v))
}
