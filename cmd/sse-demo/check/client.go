package check

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"example.com/sse-demo/sse"
)

const (
	headTimeout  = 10 * time.Second // for the head of the stream
	maxRedirects = 20               // as browsers (Fetch, "HTTP-redirect fetch")
)

// Errors of a request.
var (
	errNoAnswer    = errors.New("no answer")     // no head in time
	errRedirect    = errors.New("redirect")      // it leads nowhere
	errUnreachable = errors.New("no connection") // so the endpoint could not be tried
)

// A client makes requests to one endpoint.
type client struct {
	url       *url.URL
	header    http.Header     // for the url's own origin only
	method    string          // of the stream's request: GET, or with --data another
	body      []byte          // of --data; nil without it
	transport *http.Transport // a copy for each request, because each is another client's
}

// An ask is how one request differs from the one that opens the stream.
type ask struct {
	method string   // empty means the client's, with its body
	to     *url.URL // nil means the client's
	lastID string   // Last-Event-ID
	header http.Header
}

// open sends a request on a new connection, waits for the head, and returns the body
// if the status is 200. It ends with ctx.
func (c *client) open(ctx context.Context, a ask, timeout time.Duration) (head, io.ReadCloser) {
	ctx, cancel := context.WithCancelCause(ctx)
	limit := time.AfterFunc(timeout, func() { cancel(errNoAnswer) })
	var connected atomic.Bool // to the last of the hosts to which it was redirected
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { connected.Store(false) },
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	asked := time.Now()
	response, err := c.send(traced, a)
	if !limit.Stop() && errors.Is(context.Cause(ctx), errNoAnswer) {
		err = fmt.Errorf("%w in %s", errNoAnswer, seconds(timeout))
	} else if err != nil && ctx.Err() == nil {
		err = classify(err, connected.Load())
	}
	if err != nil {
		cancel(nil) // in case that the head came in the last moment
		return head{asked: asked, err: err}, nil
	}
	h := head{asked, time.Now(), nil, response.StatusCode, response.Proto, response.Header, response.Request.URL}
	if h.code != http.StatusOK {
		_ = response.Body.Close()
		return h, nil
	}
	return h, response.Body
}

// newTransport returns one that keeps no connection.
func newTransport(o Options) *http.Transport {
	return &http.Transport{
		DialContext:         o.dial,
		Proxy:               http.ProxyFromEnvironment,
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: o.Insecure},
		ForceAttemptHTTP2:   true,
		DisableCompression:  true, // it would be hidden
		MaxIdleConnsPerHost: -1,
		IdleConnTimeout:     time.Second, // of HTTP/2
	}
}

func (c *client) send(ctx context.Context, a ask) (*http.Response, error) {
	method, to, body := a.method, cmp.Or(a.to, c.url), io.Reader(nil)
	if method == "" {
		method, body = c.method, bytes.NewReader(c.body)
	}
	request, err := http.NewRequestWithContext(ctx, method, to.String(), body)
	if err != nil {
		return nil, err
	}
	c.setHeader(request, a)
	follow := &http.Client{Transport: c.transport.Clone(), CheckRedirect: func(next *http.Request, via []*http.Request) error {
		if a.method != "" && a.method != http.MethodHead {
			return http.ErrUseLastResponse // the redirect is the answer
		}
		if len(via) > maxRedirects {
			return fmt.Errorf("%w: over %d of them", errRedirect, maxRedirects)
		}
		c.setHeader(next, a)
		return nil
	}}
	response, err := follow.Do(request)
	if problem, ok := errors.AsType[*url.Error](err); ok {
		err = problem.Err // without the URL, which may have secrets
	}
	return response, err
}

// setHeader replaces all headers, also of a request that follows a redirect. Another
// origin gets neither the user's headers, which may be secrets, nor a Referer, whose
// query may have some; but a body keeps its type. A browser's preflight has no header
// of the user either, but goes to the same Host.
func (c *client) setHeader(request *http.Request, a ask) {
	header := http.Header{}
	request.Header, request.Host = header, "" // empty means the URL's
	header.Set("User-Agent", "sse-demo-check")
	header.Set("Accept", sse.MediaType)
	header.Set("Accept-Encoding", "identity")
	header.Set("Cache-Control", "no-cache") // as EventSource does
	if request.ContentLength > 0 {
		header.Set("Content-Type", c.header.Get("Content-Type"))
	}
	if sameOrigin(request.URL, c.url) {
		request.Host = c.header.Get("Host")
		if a.method != http.MethodOptions {
			maps.Copy(header, c.header)
		}
	}
	maps.Copy(header, a.header)
	if a.lastID != "" {
		header.Set("Last-Event-ID", a.lastID)
	}
}

func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

var standardPorts = map[string]string{"http": "80", "https": "443"}

func port(u *url.URL) string { return cmp.Or(u.Port(), standardPorts[u.Scheme]) }

// badLocation matches errors of a redirect for which net/http has no value.
var badLocation = regexp.MustCompile("Location header|unsupported protocol scheme")

// classify makes err an errUnreachable if there was no connection.
func classify(err error, connected bool) error {
	certificate, isCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	network, isNetwork := errors.AsType[*net.OpError](err)
	isAlert := isNetwork && network.Op == "remote error" // of TLS 1.3, which may come after the handshake
	switch {
	case badLocation.MatchString(err.Error()):
		return fmt.Errorf("%w: %w", errRedirect, err)
	case connected && !isAlert || errors.Is(err, errRedirect):
		return err
	case isCertificate:
		return fmt.Errorf("%w: the certificate is not trusted (--insecure accepts it): %w", errUnreachable, certificate.Err)
	case isNetwork && (network.Op == "dial" || network.Op == "proxyconnect"):
		return fmt.Errorf("%w: %w", errUnreachable, network)
	}
	return fmt.Errorf("%w over TLS: %w", errUnreachable, err)
}
