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
	"strconv"
	"strings"

	"example.com/sse-demo/routes/job"
	"example.com/sse-demo/sse"
)

const (
	maxErrorBody  = 16 << 10 // bytes that are read of an error
	maxQuoteRunes = 200      // of the upstream's words in an error
)

// A client asks an upstream.
type client struct {
	Upstream
	dialect dialect
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
	response, err := c.Transport.RoundTrip(r) // follows no redirect
	if err != nil {
		err = fmt.Errorf("the upstream cannot be reached (%s); see whether it runs, and whether --answer-url is right", innermost(err))
		return nil, cmp.Or(context.Cause(ctx), err)
	}
	if err := c.refusal(response); err != nil {
		_ = response.Body.Close()
		return nil, err
	}
	return http.MaxBytesReader(nil, response.Body, MaxResponse), nil
}

// bearer is how most APIs take the key.
func bearer(header http.Header, key string) {
	if key != "" {
		header.Set("Authorization", "Bearer "+key)
	}
}

// refusal returns an error with what the upstream says, and what to do, unless it answers
// with an event stream.
func (c *client) refusal(response *http.Response) error {
	code := response.StatusCode
	media, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if encoding := response.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		media = encoding // although it was asked not to compress, which holds pieces back
	}
	if code == http.StatusOK && media == sse.MediaType {
		return nil
	}
	says := fmt.Sprintf("%d %s", code, http.StatusText(code))
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxErrorBody)) // what was read of it will do
	var failure any
	switch {
	case code == http.StatusUnauthorized: // it may show a part of the key
	case json.Unmarshal(body, &failure) == nil:
		says += ": " + cmp.Or(words(failure), string(body))
	case media == "text/plain": // not a page of HTML
		says += ": " + string(body)
	}
	todo := "see whether --answer-url and --answer-model are right"
	switch {
	case code == http.StatusOK:
		says = media + " instead of an event stream, " + says
		todo = "see whether --answer-url can stream, and speaks as --answer-api says"
	case code >= 300 && code < 400:
		todo = "set --answer-url to the address of the endpoint itself, because the key is not sent elsewhere"
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		todo = "set SSE_ANSWER_KEY to a key that may ask this"
	case code == http.StatusTooManyRequests, code >= 500:
		todo = "try again later"
		if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
			todo = fmt.Sprintf("try again in %d s", seconds)
		}
	}
	return fmt.Errorf("the upstream answers %s; %s", c.quote(says), todo)
}

// broken returns why the stream of an answer has ended too early.
func broken(ctx context.Context, err error) error {
	_, tooMuch := errors.AsType[*http.MaxBytesError](err)
	switch {
	case context.Cause(ctx) != nil: // cancelled, silent or overdue
		return context.Cause(ctx)
	case errors.Is(err, io.EOF):
		return errors.New("the upstream ended its answer without saying that it is complete; try again")
	case tooMuch, errors.Is(err, sse.ErrTooLong):
		return fmt.Errorf("the upstream sent more than %d MiB for one answer, or %d MiB for a part of it", MaxResponse>>20, MaxEvent>>20)
	default:
		return fmt.Errorf("the connection to the upstream broke in the middle of the answer (%s); try again", innermost(err))
	}
}

// innermost returns what the network says, without addresses and URLs.
func innermost(err error) string {
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return e.Err
	}
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "it was closed"
	}
	return err.Error()
}

// quote returns the beginning of a text of the upstream on one line, without the key.
func (c *client) quote(text string) string {
	if c.Key != "" {
		text = strings.ReplaceAll(text, c.Key, "[key]")
	}
	return fmt.Sprintf("%.*s", maxQuoteRunes, strings.Join(strings.Fields(text), " "))
}
