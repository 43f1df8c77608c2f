// Package relay makes jobs whose text is the answer of a language model. It sends a
// conversation to a model API, and passes on the pieces that come back as an event
// stream. It speaks three dialects, a file each: chat completions (OpenAI, llama.cpp,
// Ollama, vLLM and most others), OpenAI's Responses, and Anthropic's Messages.
//
// An answer succeeds only if the upstream has said that it is complete, in a word that
// is known to mean that. Every other end is an error that quotes the upstream and says
// what to do; the pieces until then are kept. No error contains the key, which is sent
// to the host of the URL only: a redirect is not followed.
package relay

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"example.com/sse-demo/routes/job"
	"example.com/sse-demo/sse"
)

// What an upstream may take.
const (
	DefaultSilence = 2 * time.Minute  // without a byte, from the request on; comments count
	MaxTime        = 10 * time.Minute // for an answer, from its head on
	MaxEvent       = 2 << 20          // bytes of one event; the last one of a response has all of its text again
	MaxResponse    = 32 << 20         // bytes of an answer with everything around its text
	maxError       = 16 << 10         // bytes of an error that is no event; what was read of it will do
)

// An Upstream is a model API.
type Upstream struct {
	URL     string        // its endpoint, as http://localhost:11434/v1/chat/completions
	API     string        // how it speaks: "chat", "responses" or "messages"; anything else leaves it to the end of the URL's path
	Model   string        // "" leaves the choice to the upstream
	Key     string        // the bearer token, or for messages the x-api-key; "" for none
	Silence time.Duration // how long it may say nothing; 0 for DefaultSilence

	Transport http.RoundTripper // for tests; nil is one that connects to the host of URL
	dialect   *dialect          // as API says
}

// New returns the kind of jobs that relay the answers of the upstream. Its error contains
// neither the URL, which may hold a secret, nor the key.
func New(u Upstream) (job.Kind, error) {
	parsed, err := url.Parse(u.URL)
	switch {
	case err != nil, parsed.Scheme != "http" && parsed.Scheme != "https", parsed.Hostname() == "", parsed.User != nil:
		return job.Kind{}, errors.New("it must be like https://host/v1/chat/completions; a key goes into SSE_ANSWER_KEY")
	case strings.ContainsFunc(u.Key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return job.Kind{}, errors.New("SSE_ANSWER_KEY has characters that a key cannot have, such as spaces")
	}
	u.Silence = cmp.Or(u.Silence, DefaultSilence)
	u.dialect = cmp.Or(dialects[u.API], dialects[path.Base(parsed.Path)], &chat)
	if u.Transport == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		own.DisableKeepAlives = true // an answer takes seconds, and a connection kept for the next may be dead by then
		if parsed.Scheme == "http" {
			own.Proxy = nil // it would see the key
		}
		u.Transport = own
	}
	return job.Kind{Write: u.answer}, nil
}

// answer writes the answer to a conversation, piece by piece. It returns nil only if
// the upstream has said that the answer is complete.
func (u *Upstream) answer(ctx context.Context, r job.Request, write func(piece string) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(u.Silence, func() { cancel(fmt.Errorf("the upstream sent nothing for %v; try again", u.Silence)) })
	defer silence.Stop()
	response, err := u.ask(ctx, r.Messages)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if err := u.refusal(response); err != nil {
		return err
	}
	silence.Reset(u.Silence)
	overdue := time.AfterFunc(MaxTime, func() { cancel(fmt.Errorf("the answer was not complete after %v; ask for a shorter one", MaxTime)) })
	defer overdue.Stop()

	a := &answer{Upstream: u, silence: silence}
	events := a.events(response.Body)
	for a.err == nil {
		event, err := events.Next()
		a.err = cmp.Or(a.err, err)
		a.read(event.Name, event.Data)
		if err := write(a.take()); err != nil {
			return err
		}
	}
	return a.judge(ctx)
}

// Write gets every byte that the upstream sends. Each is a sign of life.
func (a *answer) Write(p []byte) (int, error) {
	if a.word == "" {
		a.silence.Reset(a.Silence)
	}
	return len(p), nil
}

// events returns the reader of the answer. The last event needs no blank line.
func (a *answer) events(body io.ReadCloser) *sse.Reader {
	limited := io.TeeReader(http.MaxBytesReader(nil, body, MaxResponse), a)
	events := sse.NewReader(io.MultiReader(limited, strings.NewReader("\n\n")))
	events.MaxEvent = MaxEvent
	events.OnFault = func(f sse.Fault) {
		field, text, _ := strings.Cut(f.Text, ":")
		switch {
		case f.Kind != sse.UnknownField, a.err != nil:
		case strings.EqualFold(field, "error"): // of llama.cpp
			a.read("error", []byte(text))
		case len(a.lines) > 0 || strings.ContainsAny(f.Text[:1], "{["):
			a.readLine(f.Text)
		}
	}
	return events
}

// readLine handles JSON without a field, mostly an error. It may have several lines, and
// be in a list.
func (a *answer) readLine(line string) {
	a.lines = bytes.TrimLeft(append(a.lines, line...), "[]")
	if lines := bytes.TrimRight(a.lines, "]"); json.Valid(lines) || len(lines) > maxError {
		a.lines = nil
		a.read("", lines)
	}
}

// ask sends the conversation to the upstream. The body of the response is to be closed.
func (u *Upstream) ask(ctx context.Context, conversation []job.Message) (*http.Response, error) {
	question := map[string]any{"stream": true, u.dialect.conversation: conversation}
	header := http.Header{"Content-Type": {"application/json"}, "Accept": {sse.MediaType}, "Accept-Encoding": {"identity"}}
	if u.dialect.prepare != nil {
		u.dialect.prepare(header, question, conversation)
	}
	if u.Model != "" {
		question["model"] = u.Model
	}
	if u.Key != "" {
		name, scheme, _ := strings.Cut(u.dialect.key, ": ")
		header.Set(name, scheme+u.Key)
	}
	body, _ := json.Marshal(question)                                                      // it is made of strings
	r, _ := http.NewRequestWithContext(ctx, http.MethodPost, u.URL, bytes.NewReader(body)) // New has parsed the URL
	r.Header = header
	response, err := u.Transport.RoundTrip(r) // follows no redirect
	if err != nil {
		err = fmt.Errorf("the upstream cannot be reached (%s); see whether it runs, and whether --answer-url is right", u.reason(err))
		return nil, cmp.Or(context.Cause(ctx), err)
	}
	return response, nil
}

// refusal returns an error with what the upstream says, and what to do, unless it answers
// with an event stream.
func (u *Upstream) refusal(response *http.Response) error {
	code := response.StatusCode
	media, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	says, todo := fmt.Sprintf("%d %s", code, http.StatusText(code)), "see whether --answer-url, --answer-api and --answer-model are right"
	switch seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); {
	case code == http.StatusOK && media == sse.MediaType:
		return nil
	case code == http.StatusOK:
		says = cmp.Or(media, "something without a Content-Type") + " instead of an event stream, " + says
	case code >= 300 && code < 400:
		todo = "set --answer-url to the address of the endpoint itself, because the key is not sent elsewhere"
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		todo = "set SSE_ANSWER_KEY to a key that may ask this"
	case err == nil && seconds > 0:
		todo = fmt.Sprintf("try again in %d s", seconds)
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500:
		todo = "try again later"
	}
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxError))
	if len(body) > 0 && media != "text/html" && code != http.StatusUnauthorized { // which may show a part of the key
		says += ": " + words(body)
	}
	return fmt.Errorf("the upstream answers %s; %s", u.quote(says), todo)
}

// reason returns the last thing that the network says, without addresses, URLs and the key.
func (u *Upstream) reason(err error) string {
	text := err.Error()
	text = text[strings.LastIndex(text, ": ")+1:]
	if strings.HasSuffix(text, "EOF") {
		return "it was closed"
	}
	return u.quote(text)
}

// quote returns the first 200 characters of a text on one line, without the key.
func (u *Upstream) quote(text string) string {
	if u.Key != "" {
		inJSON := strings.ReplaceAll(u.Key, "/", `\/`)
		text = strings.NewReplacer(u.Key, "[key]", inJSON, "[key]").Replace(text)
	}
	return fmt.Sprintf("%.200s", strings.Join(strings.Fields(text), " "))
}
