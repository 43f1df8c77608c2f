package relay

import (
	"compress/flate"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"example.com/sse-demo/sse"
)

const (
	maxErrorBody  = 16 << 10 // bytes that are read of an error
	maxQuoteRunes = 200      // of the upstream's words in an error of ours
)

// A refusalError is an answer of the upstream that is not the stream asked for.
type refusalError struct{ text string }

func (e *refusalError) Error() string { return e.text }

// An unreachableError is a request that got no answer.
type unreachableError struct{ cause error }

func (e *unreachableError) Error() string { return e.cause.Error() }
func (e *unreachableError) Unwrap() error { return e.cause }

// explain turns an error of the connection into one that says what to do.
func (c *client) explain(ctx context.Context, err error) error {
	if refused, ok := errors.AsType[*refusalError](err); ok {
		return refused
	}
	if cause := context.Cause(ctx); cause != nil { // cancelled, silent or overdue
		return cause
	}
	if unreachable, ok := errors.AsType[*unreachableError](err); ok {
		return fmt.Errorf("the upstream cannot be reached (%s); see whether it runs, and whether --answer-url is right", c.quote(reason(unreachable.cause)))
	}
	_, badData := errors.AsType[flate.CorruptInputError](err)
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("the upstream ended its answer without saying that it is complete; try again")
	case errors.Is(err, sse.ErrTooLong):
		return fmt.Errorf("the upstream sent an event of more than %d KiB, which is no part of an answer", MaxEvent>>10)
	case errors.Is(err, errTooMuch):
		return errTooMuch
	case badData, errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum):
		return errors.New("the upstream sent an answer that cannot be decompressed")
	default:
		return fmt.Errorf("the connection to the upstream broke in the middle of the answer (%s); try again", c.quote(reason(err)))
	}
}

// reason is what the network says, without addresses and URLs.
func reason(err error) string {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Err.Error()
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "it was closed"
	}
	return err.Error()
}

// refusal is the error for a status other than 200.
func (c *client) refusal(response *http.Response, body io.Reader) error {
	status := fmt.Sprintf("%d %s", response.StatusCode, http.StatusText(response.StatusCode))
	switch code := response.StatusCode; {
	case code == http.StatusUnauthorized, code == http.StatusForbidden: // what it says may contain a part of the key
		return &refusalError{fmt.Sprintf("the upstream refuses the key (%s); set SSE_ANSWER_KEY to a valid one", status)}
	case code >= 300 && code < 400:
		return &refusalError{fmt.Sprintf("the upstream redirects to %s (%s), which is not followed, because the key would go there; set --answer-url to the address of the endpoint itself",
			c.location(response), status)}
	case code == http.StatusTooManyRequests:
		return &refusalError{fmt.Sprintf("the upstream accepts no more requests now (%s): %s; try again %s", status, c.errorBody(body), retryAfter(response))}
	case code == http.StatusNotFound, code == http.StatusMethodNotAllowed:
		return &refusalError{fmt.Sprintf("the upstream has no such endpoint or model (%s): %s; see whether --answer-url ends like /v1/chat/completions, and whether --answer-model is right",
			status, c.errorBody(body))}
	case code >= 500:
		return &refusalError{fmt.Sprintf("the upstream has failed (%s): %s; try again %s", status, c.errorBody(body), retryAfter(response))}
	default:
		return &refusalError{fmt.Sprintf("the upstream refuses the request (%s): %s", status, c.errorBody(body))}
	}
}

// notAStream is the error for a response that is complete and successful, but no
// event stream.
func (c *client) notAStream(media string, body io.Reader) error {
	if media == "" {
		media = "something without a type"
	}
	return &refusalError{fmt.Sprintf("the upstream answers with %s instead of an event stream: %s; see whether --answer-url is an endpoint for chat completions that can stream",
		c.quote(media), c.errorBody(body))}
}

// location is where a redirect leads, without what may be secret in it.
func (c *client) location(response *http.Response) string {
	to, err := response.Location()
	if err != nil {
		return "nowhere"
	}
	return c.quote((&url.URL{Scheme: to.Scheme, Host: to.Host, Path: to.Path}).String())
}

// retryAfter says when to try again, by the header in seconds or as a date.
func retryAfter(response *http.Response) string {
	header := response.Header.Get("Retry-After")
	seconds, err := strconv.ParseUint(header, 10, 31)
	if err != nil {
		at, err := http.ParseTime(header)
		if err != nil {
			return "later"
		}
		seconds = uint64(math.Ceil(max(time.Until(at), 0).Seconds()))
	}
	return fmt.Sprintf("in %d s", seconds)
}

// errorBody is the error message of a body that is JSON in one of the usual forms.
func (c *client) errorBody(body io.Reader) string {
	text, _ := io.ReadAll(io.LimitReader(body, maxErrorBody)) // what was read of it will do
	return c.message(text)
}

// message is the text of an error in JSON, like {"error":{"message":"…"}}.
func (c *client) message(data []byte) string {
	var object map[string]json.RawMessage
	var text string
	for range 3 { // as deep as it may be
		if json.Unmarshal(data, &text) == nil && text != "" {
			return c.quote(text)
		}
		if json.Unmarshal(data, &object) != nil {
			break
		}
		for _, name := range []string{"error", "message", "detail"} {
			if inner, ok := object[name]; ok {
				data = inner
				break
			}
		}
		object = nil
	}
	return "no reason is given"
}

// quote returns the beginning of a text of the upstream on one line, without the
// key.
func (c *client) quote(text string) string {
	if key := c.upstream.Key; key != "" {
		text = strings.ReplaceAll(text, key, "[key]")
	}
	printable := func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}
	runes := []rune(strings.Join(strings.Fields(strings.Map(printable, strings.ToValidUTF8(text, "\ufffd"))), " "))
	if len(runes) > maxQuoteRunes {
		return string(runes[:maxQuoteRunes]) + "…"
	}
	return string(runes)
}
