package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Options are the flags of the command, as kong reads them.
type Options struct {
	URL        string        `arg:"" help:"The endpoint, like https://example.com/events."`
	For        time.Duration `default:"20s" help:"How long to listen. A stream that is silent then is listened to for up to 56s of silence."`
	Header     []string      `sep:"none" placeholder:"'NAME: VALUE'" help:"Request header, sent to the URL's own origin only; repeatable."`
	Origin     given         `placeholder:"ORIGIN" help:"Check that pages of this origin may read the stream, like https://app.example.com."`
	Compare    given         `placeholder:"URL" help:"The same endpoint without the proxy: says how much later events are through the proxy."`
	Insecure   bool          `help:"Accept any certificate."`
	AllMethods bool          `help:"Also send POST, PUT and DELETE, once each and without a body, to see whether they are refused."`
	JSON       bool          `name:"json" help:"Print one JSON object."`

	dial func(ctx context.Context, network, addr string) (net.Conn, error) // of a test; nil for the network
}

// given is a string that is not empty.
type given string

// UnmarshalText refuses an empty value.
func (g *given) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return errors.New("it is empty; is it a variable that is not set?")
	}
	*g = given(text)
	return nil
}

// parse returns the client of the endpoint and, with --compare, that of the
// endpoint without the proxy. The error is one for the user.
func (o *Options) parse() (main, compare *client, err error) {
	if o.For <= 0 {
		return nil, nil, errors.New("--for must be above 0")
	}
	if o.Origin != "" && !isOrigin(string(o.Origin)) {
		return nil, nil, fmt.Errorf("--origin must be like https://app.example.com, without a path: %s", quote(string(o.Origin)))
	}
	header, err := parseHeader(o.Header)
	if err != nil {
		return nil, nil, err
	}
	target, err := parseURL(o.URL)
	if err != nil {
		return nil, nil, err
	}
	main = &client{url: target, header: header, insecure: o.Insecure, dial: o.dial}
	if o.Compare == "" {
		return main, nil, nil
	}
	if target, err = parseURL(string(o.Compare)); err != nil {
		return nil, nil, fmt.Errorf("--compare: %w", err)
	}
	return main, &client{url: target, header: header, insecure: o.Insecure, dial: o.dial}, nil
}

func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		if strings.Contains(text, "@") { // the cause may be a part of the password
			return nil, fmt.Errorf("the URL %s cannot be read; is each special character of the password percent-encoded?", quote(withoutUser(text)))
		}
		return nil, fmt.Errorf("the URL %s cannot be read: %w", quote(text), plain(err))
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, fmt.Errorf("the URL must be like https://example.com/events: %s", quote(withoutUser(text)))
	}
	return u, nil
}

// withoutUser takes the user and the password out of what may be no URL.
func withoutUser(text string) string {
	at := strings.LastIndexByte(text, '@')
	if at < 0 {
		return text
	}
	scheme, _, found := strings.Cut(text[:at], "://")
	if !found {
		return "…" + text[at:]
	}
	return scheme + "://…" + text[at:]
}

// isOrigin reports whether text is what a browser sends as Origin.
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	return text == "null" || err == nil && u.Scheme != "" && u.Host != "" && text == u.Scheme+"://"+u.Host
}

// parseHeader reads lines like "Name: value".
func parseHeader(lines []string) (http.Header, error) {
	header := http.Header{}
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if !ok || !isToken(name) || !isFieldValue(value) {
			return nil, fmt.Errorf("--header must be like 'Name: value': %s", quote(line))
		}
		header.Add(name, value)
	}
	return header, nil
}

// isToken reports whether s can be the name of a header field (RFC 9110, 5.6.2).
func isToken(s string) bool {
	const marks = "!#$%&'*+-.^_`|~"
	isLetter := func(c rune) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' }
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return !isLetter(c) && !strings.ContainsRune(marks, c) })
}

// isFieldValue reports whether s can be the value of a header field.
func isFieldValue(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f })
}
