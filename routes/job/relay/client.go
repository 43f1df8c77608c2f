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
	"net"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"example.com/sse-demo/routes/job"
	"example.com/sse-demo/sse"
)

const (
	maxErrorBody  = 16 << 10 // bytes that are read of an error
	maxQuoteRunes = 200      // of the upstream's words in an error
)

// An Upstream is a model API.
type Upstream struct {
	URL     string        // its endpoint, as http://localhost:11434/v1/chat/completions
	API     string        // how it speaks: "chat", "responses" or "messages"; "" or "auto" looks at the end of the URL's path
	Model   string        // "" leaves the choice to the upstream
	Key     string        // the bearer token, or for messages the x-api-key; "" for none
	Silence time.Duration // how long it may say nothing; 0 for DefaultSilence

	// Transport is for tests; nil is one that connects to the host of URL.
	Transport http.RoundTripper
}

type client struct {
	Upstream
	dialect dialect
	http    *http.Client
}

// newClient returns an error that contains neither the URL, which may hold a secret,
// nor the key.
func newClient(u Upstream) (*client, error) {
	parsed, err := url.Parse(u.URL)
	if bad, ok := errors.AsType[*url.Error](err); ok {
		err = bad.Err
	}
	switch {
	case err != nil:
		return nil, err
	case parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Hostname() == "":
		return nil, errors.New("it must be like https://host/v1/chat/completions")
	case parsed.User != nil:
		return nil, errors.New("it must have no user and password; a key goes into SSE_ANSWER_KEY")
	case strings.ContainsFunc(u.Key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, errors.New("SSE_ANSWER_KEY has characters that a key cannot have, such as spaces")
	}
	c := &client{Upstream: u, dialect: chat}
	c.Silence = cmp.Or(u.Silence, DefaultSilence)
	if c.API == "" || c.API == "auto" {
		c.API = path.Base(parsed.Path)
	}
	switch c.API {
	case "responses":
		c.dialect = responses
	case "messages":
		c.dialect = messages
	}
	if c.Transport == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		own.DisableKeepAlives = true // an answer takes seconds, and a connection kept for the next may be dead by then
		if parsed.Scheme == "http" {
			own.Proxy = nil // it would see the key
		}
		c.Transport = own
	}
	noRedirect := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.http = &http.Client{Transport: c.Transport, CheckRedirect: noRedirect}
	return c, nil
}

// open asks the upstream and returns the event stream that it answers with, to be
// closed after use.
func (c *client) open(ctx context.Context, conversation []job.Message) (io.ReadCloser, error) {
	question := map[string]any{"stream": true}
	if c.Model != "" {
		question["model"] = c.Model
	}
	c.dialect.ask(question, conversation)
	body, err := json.Marshal(question)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", sse.MediaType)
	r.Header.Set("Accept-Encoding", "identity")
	c.dialect.authorize(r.Header, c.Key)
	response, err := c.http.Do(r)
	if err != nil {
		return nil, c.broken(ctx, err, "the upstream cannot be reached (%s); see whether it runs, and whether --answer-url is right")
	}
	if err := c.refusal(response); err != nil {
		_ = response.Body.Close()
		return nil, err
	}
	return response.Body, nil
}

// bearer is how most APIs take the key.
func bearer(header http.Header, key string) {
	if key != "" {
		header.Set("Authorization", "Bearer "+key)
	}
}

// refusal returns an error that says what to do, unless the response is an event stream.
func (c *client) refusal(response *http.Response) error {
	media, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if encoding := response.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		media = encoding // although it was asked not to compress, which holds pieces back
	}
	code := response.StatusCode
	if code == http.StatusOK && media == sse.MediaType {
		return nil
	}
	status := fmt.Sprintf("%d %s", code, http.StatusText(code))
	says := "no reason is given"
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxErrorBody)) // what was read of it will do
	switch {
	case json.Valid(body):
		says = cmp.Or(c.quote(reason(body)), says)
	case media == "text/plain": // not a page of HTML
		says = cmp.Or(c.quote(string(body)), says)
	}
	switch {
	case code == http.StatusOK:
		return fmt.Errorf("the upstream answers with %s instead of an event stream: %s; see whether --answer-url can stream, and speaks as --answer-api says", c.quote(media), says)
	case code >= 300 && code < 400:
		return fmt.Errorf("the upstream redirects (%s), which is not followed, because the key would go there; set --answer-url to the address of the endpoint itself", status)
	case code == http.StatusForbidden:
		return fmt.Errorf("the upstream refuses the key (%s); set SSE_ANSWER_KEY to one that may ask this: %s", status, says)
	case code == http.StatusUnauthorized: // what it says may contain a part of the key
		return fmt.Errorf("the upstream refuses the key (%s); set SSE_ANSWER_KEY to a valid one", status)
	case code == http.StatusNotFound, code == http.StatusMethodNotAllowed:
		return fmt.Errorf("the upstream has no such endpoint or model (%s): %s; see whether --answer-url and --answer-model are right", status, says)
	case code == http.StatusTooManyRequests, code >= 500:
		later := "later"
		if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
			later = fmt.Sprintf("in %d s", seconds)
		}
		return fmt.Errorf("the upstream cannot answer now (%s): %s; try again %s", status, says, later)
	default:
		return fmt.Errorf("the upstream refuses the request (%s): %s", status, says)
	}
}

// explain turns an error of the stream into one that says what to do.
func (c *client) explain(ctx context.Context, err error) error {
	_, tooMuch := errors.AsType[*http.MaxBytesError](err)
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("the upstream ended its answer without saying that it is complete; try again")
	case errors.Is(err, sse.ErrTooLong):
		return fmt.Errorf("the upstream sent an event of more than %d MiB, which is no part of an answer", MaxEvent>>20)
	case tooMuch:
		return fmt.Errorf("the upstream sent more than %d MiB for one answer", MaxResponse>>20)
	default:
		return c.broken(ctx, err, "the connection to the upstream broke in the middle of the answer (%s); try again")
	}
}

// broken returns why this process has ended a connection, or else what the network says
// about its end, without addresses and URLs.
func (c *client) broken(ctx context.Context, err error, format string) error {
	if cause := context.Cause(ctx); cause != nil { // cancelled, silent or overdue
		return cause
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		err = errors.New(e.Err)
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it was closed")
	}
	return fmt.Errorf(format, c.quote(err.Error()))
}

// quote returns the beginning of a text of the upstream on one line, without the key.
func (c *client) quote(text string) string {
	if c.Key != "" {
		text = strings.ReplaceAll(text, c.Key, "[key]")
	}
	return fmt.Sprintf("%.*s", maxQuoteRunes, strings.Join(strings.Fields(text), " "))
}
