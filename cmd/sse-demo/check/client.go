package check

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"example.com/sse-demo/sse"
)

// errNoAnswer is the error of an endpoint that sends no head in time.
var errNoAnswer = errors.New("no answer")

// A client makes requests to one endpoint.
type client struct {
	url      *url.URL
	header   http.Header // for the url's own origin only
	insecure bool
	dial     func(ctx context.Context, network, addr string) (net.Conn, error)
}

// An ask is what one request differs in from others.
type ask struct {
	method     string   // empty means GET
	to         *url.URL // nil means the client's
	lastID     string   // Last-Event-ID
	encoding   string   // Accept-Encoding; empty means identity
	header     http.Header
	bare       bool // without the user's headers, as a browser's preflight
	noRedirect bool
}

// An answer is a response whose body is yet to be read. It must be closed.
type answer struct {
	*http.Response
	asked, answered time.Time
	close           func()
}

// open sends a request on a connection of its own and waits for the head. The
// answer ends with ctx.
func (c *client) open(ctx context.Context, a ask, timeout time.Duration) (*answer, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	limit := time.AfterFunc(timeout, func() { cancel(errNoAnswer) })
	asked := time.Now()
	transport := c.transport()
	ctx, orHandshake := watchHandshake(ctx)
	response, err := c.send(ctx, transport, a)
	err = orHandshake(err)
	if !limit.Stop() && errors.Is(context.Cause(ctx), errNoAnswer) {
		err = fmt.Errorf("%w in %s", errNoAnswer, seconds(timeout))
	}
	closeAll := func() {
		cancel(nil)
		if response != nil {
			_ = response.Body.Close()
		}
		transport.CloseIdleConnections()
	}
	if err != nil {
		closeAll()
		return nil, err
	}
	return &answer{Response: response, asked: asked, answered: time.Now(), close: closeAll}, nil
}

// transport is a new one each time: each connection is that of another client.
func (c *client) transport() *http.Transport {
	transport := &http.Transport{
		DialContext:            c.dial,
		TLSClientConfig:        &tls.Config{InsecureSkipVerify: c.insecure},
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // it would be hidden
		MaxResponseHeaderBytes: maxHead,
	}
	if c.dial == nil {
		transport.Proxy = http.ProxyFromEnvironment
	}
	return transport
}

func (c *client) send(ctx context.Context, transport *http.Transport, a ask) (*http.Response, error) {
	method := a.method
	if method == "" {
		method = http.MethodGet
	}
	to := a.to
	if to == nil {
		to = c.url
	}
	request, err := http.NewRequestWithContext(ctx, method, to.String(), nil)
	if err != nil {
		return nil, err
	}
	a.bare = a.bare || !sameOrigin(to, c.url)
	c.setHeader(request, a)
	follow := &http.Client{Transport: transport, CheckRedirect: c.checkRedirect}
	if a.noRedirect {
		follow.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return follow.Do(request)
}

func (c *client) setHeader(request *http.Request, a ask) {
	request.Header.Set("User-Agent", "sse-demo-check")
	request.Header.Set("Accept", sse.MediaType)
	request.Header.Set("Cache-Control", "no-cache") // as EventSource does
	if !a.bare {
		maps.Copy(request.Header, c.header)
		request.Host = c.header.Get("Host") // empty means that of the URL
	}
	maps.Copy(request.Header, a.header)
	request.Header.Set("Accept-Encoding", "identity")
	if a.encoding != "" {
		request.Header.Set("Accept-Encoding", a.encoding)
	}
	if a.lastID != "" {
		request.Header.Set("Last-Event-ID", a.lastID)
	}
}

// checkRedirect keeps the user's headers, which may be secrets, and the address
// that was asked for, whose query may have some, from other origins.
func (c *client) checkRedirect(request *http.Request, via []*http.Request) error {
	if len(via) > maxRedirect {
		return fmt.Errorf("over %d redirects", maxRedirect)
	}
	request.Header.Del("Referer")
	for _, r := range append(via[1:], request) {
		if sameOrigin(r.URL, via[0].URL) {
			continue
		}
		for name := range c.header {
			request.Header.Del(name)
		}
		request.Host = ""
		request.Header.Set("Accept", sse.MediaType)
		break
	}
	return nil
}

func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	default:
		return "80"
	}
}
