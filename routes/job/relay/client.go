package relay

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"example.com/sse-demo/sse"
)

const (
	dialTimeout    = 10 * time.Second
	maxHeaderBytes = 64 << 10
)

// An Upstream is an endpoint that answers prompts.
type Upstream struct {
	URL   string // of chat/completions, as http://localhost:11434/v1/chat/completions
	Model string // "" leaves the choice to the upstream
	Key   string // the bearer token; "" for none

	// Transport is for tests; nil is one that connects to the host of URL.
	Transport http.RoundTripper
}

// check returns an error that contains neither the URL, which may hold a secret,
// nor the key.
func (u *Upstream) check() error {
	parsed, err := url.Parse(u.URL)
	if bad, ok := errors.AsType[*url.Error](err); ok {
		err = bad.Err
	}
	switch {
	case err != nil:
		return err
	case parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Hostname() == "":
		return errors.New("it must be like https://host/v1/chat/completions")
	case parsed.User != nil:
		return errors.New("it must have no user and password; a bearer token goes into SSE_ANSWER_KEY")
	case parsed.Fragment != "":
		return errors.New("it must have no #")
	case strings.ContainsFunc(u.Key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("SSE_ANSWER_KEY has characters that a bearer token cannot have, such as spaces")
	}
	return nil
}

type client struct {
	upstream Upstream
	http     *http.Client
}

func newClient(u Upstream) *client {
	if u.Transport == nil {
		u.Transport = &http.Transport{
			Proxy:                  proxy,
			DialContext:            (&net.Dialer{Timeout: dialTimeout}).DialContext,
			TLSHandshakeTimeout:    dialTimeout,
			ForceAttemptHTTP2:      true,
			DisableKeepAlives:      true, // an answer takes seconds, and a connection kept for the next may be dead by then
			DisableCompression:     true, // which would hold pieces back
			MaxResponseHeaderBytes: maxHeaderBytes,
		}
	}
	noRedirect := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client{u, &http.Client{Transport: u.Transport, CheckRedirect: noRedirect}}
}

// proxy is the proxy of the environment, unless it would see the key.
func proxy(r *http.Request) (*url.URL, error) {
	if r.URL.Scheme != "https" {
		return nil, nil
	}
	return http.ProxyFromEnvironment(r)
}

type chatRequest struct {
	Model    string        `json:"model,omitempty"`
	Stream   bool          `json:"stream"`
	Messages []chatMessage `json:"messages"`
}

type chatMessage struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// open asks the upstream and returns the event stream that it answers with, to be
// closed after use.
func (c *client) open(ctx context.Context, prompt string) (io.ReadCloser, error) {
	question, err := json.Marshal(chatRequest{
		Model: c.upstream.Model, Stream: true, Messages: []chatMessage{{"user", prompt}},
	})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.upstream.URL, bytes.NewReader(question))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", sse.MediaType)
	request.Header.Set("Accept-Encoding", "identity")
	if c.upstream.Key != "" {
		request.Header.Set("Authorization", "Bearer "+c.upstream.Key)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, &unreachableError{err}
	}
	body, err := c.stream(response)
	if err != nil {
		_ = response.Body.Close()
		return nil, err
	}
	return body, nil
}

// stream returns the body of a response that is an event stream.
func (c *client) stream(response *http.Response) (io.ReadCloser, error) {
	body := response.Body
	switch encoding := response.Header.Get("Content-Encoding"); strings.ToLower(encoding) {
	case "", "identity":
	case "gzip": // although it was asked not to
		body = &gunzip{in: response.Body}
	default:
		return nil, &refusalError{fmt.Sprintf("the upstream compresses its answer with %s, which it was asked not to", c.quote(encoding))}
	}
	if response.StatusCode != http.StatusOK {
		return nil, c.refusal(response, body)
	}
	media, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if media != sse.MediaType {
		return nil, c.notAStream(media, body)
	}
	return body, nil
}

// A gunzip decompresses from its first read on; the header of the data may be late.
type gunzip struct {
	in  io.ReadCloser
	out *gzip.Reader
}

func (g *gunzip) Read(p []byte) (n int, err error) {
	if g.out == nil {
		if g.out, err = gzip.NewReader(g.in); err != nil {
			return 0, err
		}
	}
	return g.out.Read(p)
}

func (g *gunzip) Close() error { return g.in.Close() }
