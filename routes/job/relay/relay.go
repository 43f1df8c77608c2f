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
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"example.com/sse-demo/routes/job"
)

// What an upstream may take.
const (
	DefaultSilence = 2 * time.Minute  // without a byte, from the request on; comments count
	MaxTime        = 10 * time.Minute // for an answer, from its head on
	MaxEvent       = 2 << 20          // bytes of one event; the last one of a response has all of its text again
	MaxResponse    = 32 << 20         // bytes of an answer with everything around its text

	// lastWords is how long the stream may go on after the word with which the answer
	// ends. Some servers report an error only then.
	lastWords = 5 * time.Second
)

// An Upstream is a model API.
type Upstream struct {
	URL     string        // its endpoint, as http://localhost:11434/v1/chat/completions
	API     string        // how it speaks: "chat", "responses" or "messages"; anything else leaves it to the end of the URL's path
	Model   string        // "" leaves the choice to the upstream
	Key     string        // the bearer token, or for messages the x-api-key; "" for none
	Silence time.Duration // how long it may say nothing; 0 for DefaultSilence

	// Transport is for tests; nil is one that connects to the host of URL.
	Transport http.RoundTripper
}

// New returns the kind of jobs that relay the answers of the upstream. Its error contains
// neither the URL, which may hold a secret, nor the key.
func New(u Upstream) (job.Kind, error) {
	parsed, err := url.Parse(u.URL)
	if bad, ok := errors.AsType[*url.Error](err); ok {
		err = bad.Err
	}
	switch {
	case err != nil:
		return job.Kind{}, err
	case parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Hostname() == "":
		return job.Kind{}, errors.New("it must be like https://host/v1/chat/completions")
	case parsed.User != nil:
		return job.Kind{}, errors.New("it must have no user and password; a key goes into SSE_ANSWER_KEY")
	case strings.ContainsFunc(u.Key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return job.Kind{}, errors.New("SSE_ANSWER_KEY has characters that a key cannot have, such as spaces")
	}
	u.Silence = cmp.Or(u.Silence, DefaultSilence)
	if u.Transport == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		own.DisableKeepAlives = true // an answer takes seconds, and a connection kept for the next may be dead by then
		if parsed.Scheme == "http" {
			own.Proxy = nil // it would see the key
		}
		u.Transport = own
	}
	c := &client{Upstream: u, dialect: chat}
	for _, name := range []string{path.Base(parsed.Path), u.API} {
		if d, ok := dialects[name]; ok {
			c.dialect = d
		}
	}
	return job.Kind{Write: c.answer}, nil
}

// answer writes the answer to a conversation, piece by piece. It returns nil only if
// the upstream has said that the answer is complete.
func (c *client) answer(ctx context.Context, r job.Request, write func(piece string) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(c.Silence, func() { cancel(fmt.Errorf("the upstream sent nothing for %v; try again", c.Silence)) })
	defer silence.Stop()
	body, err := c.open(ctx, r.Messages)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	overdue := time.AfterFunc(MaxTime, func() { cancel(fmt.Errorf("the answer was not complete after %v; ask for a shorter one", MaxTime)) })
	defer overdue.Stop()

	a := &answer{client: c, body: body, silence: silence}
	events := a.events()
	for {
		event, err := events.Next()
		isOver := err != nil || a.read(event.Name, event.Data)
		if err := write(a.take(isOver)); err != nil {
			return err
		}
		if isOver {
			return a.judge(ctx, err)
		}
	}
}
