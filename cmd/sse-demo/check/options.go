package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Options are the flags of the command, as kong reads them.
type Options struct {
	URL        string        `arg:"" help:"The endpoint, like https://example.com/events."`
	For        time.Duration `default:"20s" help:"How long to listen. If the stream is silent then, check waits for the next byte, until 56s of silence at most."`
	Header     []string      `sep:"none" placeholder:"'NAME: VALUE'" help:"Request header, sent to the URL's own origin and to --compare; repeatable."`
	Data       *string       `placeholder:"TEXT|@FILE" help:"Check the stream that answers a request with this body, which is sent once, and once more to --compare."`
	Method     *string       `placeholder:"POST" help:"Method of the request with --data."`
	Origin     *string       `placeholder:"ORIGIN" help:"Check that pages of this origin may read the stream, like https://app.example.com."`
	Compare    *string       `placeholder:"URL" help:"The same endpoint without the proxy: says how much later events are through the proxy."`
	Insecure   bool          `help:"Accept any certificate."`
	AllMethods bool          `help:"Also send POST, PUT and DELETE, once each and without a body, to see whether they are refused."`
	Strict     bool          `help:"Exit with status 1 after a warning, too."`
	JSON       bool          `name:"json" help:"Print one JSON object."`

	dial func(ctx context.Context, network, addr string) (net.Conn, error) // of a test; nil for the network
}

// newObservation checks the options. The error is one for the user.
func newObservation(options Options) (_ *observation, err error) {
	c := client{method: http.MethodGet, transport: newTransport(options)}
	o := &observation{options: options, client: &c}
	if options.For <= 0 {
		return nil, errors.New("--for must be above 0")
	}
	if options.Origin != nil {
		o.origin = *options.Origin
		if sent := cmp.Or(originOf(o.origin), "https://app.example.com"); sent != o.origin {
			return nil, fmt.Errorf("--origin must be like %s, as browsers send it: %s", sent, quote(o.origin))
		}
	}
	if c.header, err = parseHeader(options.Header); err != nil {
		return nil, err
	}
	if err := options.setBody(&c); err != nil {
		return nil, err
	}
	if c.url, err = parseURL(options.URL); err != nil {
		return nil, err
	}
	if options.Compare != nil {
		direct := c
		o.compare = &direct
		if direct.url, err = parseURL(*options.Compare); err != nil {
			return nil, fmt.Errorf("--compare: %w", err)
		}
	}
	return o, nil
}

// setBody makes c send the body that --data names.
func (o *Options) setBody(c *client) error {
	switch {
	case o.Data == nil && o.Method != nil:
		return errors.New("--method needs --data")
	case o.Data == nil:
		c.header.Del("Accept-Encoding") // the check of compression sets it
		return nil
	case o.AllMethods:
		return errors.New("--data and --all-methods do not go together")
	}
	c.method, c.body = http.MethodPost, []byte(*o.Data)
	if o.Method != nil {
		c.method = *o.Method
	}
	if !httpguts.ValidHeaderFieldName(c.method) { // which is a token, as a method is
		return fmt.Errorf("--method must be like POST: %s", quote(c.method))
	}
	if c.header["Content-Type"] == nil {
		c.header.Set("Content-Type", "application/json")
	}
	if name, isFile := strings.CutPrefix(*o.Data, "@"); isFile {
		body, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("--data: %w", err)
		}
		c.body = body
	}
	return nil
}

// parseURL returns an error that does not show a password.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" {
		return u, nil
	}
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		text = "…" + text[at:]
	}
	return nil, fmt.Errorf("the URL must be like https://example.com/events, with special characters percent-encoded: %s", quote(text))
}

// originOf returns what a browser sends as Origin for a page of this URL; it is empty
// if text is neither a URL nor "null".
func originOf(text string) string {
	u, err := url.Parse(text)
	if text == "null" {
		return text
	}
	if err != nil || u.Scheme == "" || u.Hostname() == "" {
		return ""
	}
	host := strings.TrimSuffix(strings.ToLower(u.Host), ":")
	host, err = httpguts.PunycodeHostPort(strings.TrimSuffix(host, ":"+standardPorts[u.Scheme]))
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + host
}

// parseHeader reads lines like "Name: value".
func parseHeader(lines []string) (http.Header, error) {
	header := http.Header{}
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil, fmt.Errorf("--header must be like 'Name: value': %s", quote(line))
		}
		header.Add(name, value)
	}
	return header, nil
}
