package check

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// command runs the check with the flags in args and returns what it printed.
func command(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	var o Options
	parser, err := kong.New(&o)
	if err == nil {
		_, err = parser.Parse(args)
	}
	if err != nil {
		t.Errorf("%q: %v", args, err)
		return "", err
	}
	var out bytes.Buffer
	err = Run(t.Context(), o, &out, nil)
	return out.String(), err
}

func TestNotTried(t *testing.T) {
	reset := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, _ := http.NewResponseController(w).Hijack()
		_ = conn.(*net.TCPConn).SetLinger(0) // so that closing it resets it
		_ = conn.Close()
	}))
	t.Cleanup(reset.Close)
	t.Parallel()
	good := realServer(t, goodEndpoint())
	encrypted := httptest.NewTLSServer(goodEndpoint())
	t.Cleanup(encrypted.Close)
	encrypted.Config.ErrorLog = log.New(io.Discard, "", 0)
	missing := realServer(t, &endpoint{before: func(w http.ResponseWriter, r *http.Request) bool {
		http.NotFound(w, r)
		return true
	}})
	closing := realServer(t, &endpoint{before: func(w http.ResponseWriter, _ *http.Request) bool {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.Close()
		}
		return true
	}})
	certified := httptest.NewUnstartedServer(goodEndpoint())
	certified.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12} // so that the handshake fails
	certified.StartTLS()
	t.Cleanup(certified.Close)
	certified.Config.ErrorLog = log.New(io.Discard, "", 0)
	closed := closedPort(t)
	for _, tt := range []struct {
		says string
		args []string
	}{
		{"no connection: dial tcp: lookup nosuch.invalid", []string{"http://nosuch.invalid/"}},
		{"refused", []string{"http://" + closed}},
		{"certificate is not trusted (--insecure", []string{encrypted.URL}},
		{"no connection over TLS", []string{"https" + strings.TrimPrefix(good, "http")}},
		{"no connection over TLS: remote error: tls: ", []string{certified.URL, "--insecure"}},
		{"no connection over TLS: ", []string{"https://" + rawServer(t, "", "")}},
		{"no connection over TLS: tls: first record does not look like a TLS handshake", []string{"https://" + rawServer(t, "SSH-2.0-x\r\n", "")}},
		{"--compare: no connection over TLS", []string{good, "--compare", "https://" + rawServer(t, "", "")}},
		{"--compare: no connection", []string{good, "--compare", "http://" + closed}},
		{"--compare: the connection was closed without an answer", []string{good, "--compare", closing}},
		{"--compare: the connection was closed without an answer", []string{good, "--compare", reset.URL}},
		{"--compare: no connection: dial tcp: lookup nosuch.invalid", []string{good, "--compare", "http://nosuch.invalid/"}},
		{"--compare: 404 Not Found", []string{good, "--compare", missing}},
		{"--compare: no connection", []string{missing, "--compare", "http://" + closed}},
		{"--compare: the URL must be", []string{good, "--compare", "x"}},
		{"the URL must be like", []string{"example.com/events"}},
		{"the URL must be like", []string{"ftp://example.com/events"}},
		{"the URL must be like", []string{"http:///events"}},
		{"percent-encoded", []string{"http://exa mple.com/"}},
		{"the URL must be like", []string{"http://example.com:port/"}},
		{"--for must be above 0", []string{good, "--for", "0s"}},
		{"--header must be like", []string{good, "--header", "novalue"}},
		{"--header must be like", []string{good, "--header", "a b: c"}},
		{"--header must be like", []string{good, "--header", "a: b\nc: d"}},
		{"--origin must be like https://app.example.com", []string{good, "--origin", "app.example.com"}},
		{"--origin must be like https://app.example.com", []string{good, "--origin", "//app.example.com"}},
		{`like https://app.example.com, as browsers send it: "https://app.example.com/"`, []string{good, "--origin", "https://app.example.com/"}},
		{"--origin must be like https://app.example.com", []string{good, "--origin", "https://App.example.com"}},
		{"--origin must be like https://app.example.com", []string{good, "--origin", "https://app.example.com:443"}},
		{"--origin must be like http://app.example.com", []string{good, "--origin", "HTTP://me@app.example.com:"}},
		{"--origin must be like https://xn--bcher-kva.example:8443", []string{good, "--origin", "https://Bücher.example:8443"}},
	} {
		out, err := command(t, tt.args...)
		if !errors.Is(err, ErrNotTried) || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\n") || out != "" {
			t.Errorf("%q: %v, printed %q; want %q", tt.args, err, out, tt.says)
		}
	}
}

// TestAlert: TLS 1.3 refuses a client without a certificate after the handshake.
func TestAlert(t *testing.T) {
	err := classify(&net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}, true)
	if err == nil || err.Error() != "no connection over TLS: remote error: tls: certificate required" {
		t.Error(err)
	}
}

// TestPassword: a URL is printed without the password in it, also what is no URL.
func TestPassword(t *testing.T) {
	t.Parallel()
	host := strings.TrimPrefix(realServer(t, &endpoint{before: refuse}), "http://")
	if out, _ := command(t, "--json", "http://me:secret@"+host+"/"); !strings.HasPrefix(out, `{"url":"http://me:xxxxx@`+host+`/",`) {
		t.Error(out)
	}
	for _, url := range []string{
		"http://me:secret@127.0.0.1:1x/", "http://me:secret#1@127.0.0.1/", "http://me:secret/@127.0.0.1/", "http://me:secret%@127.0.0.1/",
		"http://me:se cret@127.0.0.1/", "http://me:se@cret@[::1/", "ftp://me:secret@127.0.0.1/", "me:secret@127.0.0.1/events",
	} {
		for _, args := range [][]string{{url}, {"http://127.0.0.1", "--compare", url}} {
			_, err := command(t, args...)
			if !errors.Is(err, ErrNotTried) || strings.Contains(err.Error(), "cret") || !strings.Contains(err.Error(), "…@") {
				t.Errorf("%s: %v", url, err)
			}
		}
	}
}

// TestJSON: one object, with the given URL, and all checks in their order.
func TestJSON(t *testing.T) {
	t.Parallel()
	url := realServer(t, &endpoint{before: func(w http.ResponseWriter, r *http.Request) bool {
		http.NotFound(w, r)
		return true
	}})
	out, err := command(t, "--json", url+"/<a>?b&c")
	if !errors.Is(err, ErrFailed) {
		t.Error(err)
	}
	var report Report
	in := json.NewDecoder(strings.NewReader(out))
	in.DisallowUnknownFields()
	if err := in.Decode(&report); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		t.Error("more than one object")
	}
	if report.URL != url+"/<a>?b&c" || !strings.HasPrefix(out, `{"url":"http`) || !strings.Contains(out, `"results":[{"check":"head","result":"fail","seen":"404 Not Found","means":"`) {
		t.Error(out)
	}
	compare(t, report, onlyHead())
}

// TestHTTP2 is over TLS, with and without HTTP/2.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	var checking sync.WaitGroup
	for _, http2 := range []bool{true, false} {
		e := goodEndpoint()
		e.began, e.interval = time.Now(), 100*time.Millisecond
		server := httptest.NewUnstartedServer(e)
		server.EnableHTTP2 = http2
		server.StartTLS()
		t.Cleanup(server.Close)
		checking.Go(func() {
			out, err := command(t, "--insecure", "--for", "1s", server.URL)
			want := map[bool]string{true: "ok    http2        HTTP/2.0\n", false: "warn  http2        HTTP/1.1 only. "}[http2]
			if err != nil || !strings.Contains(out, want) || strings.Count(out, "\n") != len(checks) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	checking.Wait()
}

// TestMain lets all of TestHostile run at once: what floods a check until its time is
// over costs as much processor time as it is given.
func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "16") // -parallel wins
	os.Exit(m.Run())
}

// TestHostile: whatever comes, the check ends, and soon. The test is not parallel,
// because its floods leave no time for others.
func TestHostile(t *testing.T) {
	flood := func(piece string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.Header().Set("Cache-Control", "no-cache")
			for r.Method == http.MethodGet && r.Context().Err() == nil {
				if _, err := io.WriteString(w, piece); err != nil {
					return
				}
			}
		}
	}
	bomb := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Content-Encoding", "gzip")
		zip, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
		for r.Method == http.MethodGet && r.Context().Err() == nil {
			if _, err := io.WriteString(zip, strings.Repeat("x", 1<<16)); err != nil {
				return
			}
		}
	}
	for name, tt := range map[string]struct {
		handler http.Handler
		listen  string // ends at once if an event is too long
		want    string // of a check
	}{
		"an endless line":  {flood(strings.Repeat("x", 1<<16)), "5m", "format=warn"},
		"endless events":   {flood(strings.Repeat("id: 1\ndata: x\n\n", 1<<12)), "300ms", "format=ok"},
		"endless ids":      {flood(strings.Repeat("id: "+strings.Repeat("1", 1<<11)+"\ndata: x\n\n", 1<<5)), "300ms", "format=ok"},
		"endless newlines": {flood(strings.Repeat("\n", 1<<16)), "300ms", "format=ok"},
		"endless comments": {flood(strings.Repeat(": x\n", 1<<14)), "300ms", "format=ok"},
		"endless faults":   {flood(strings.Repeat("\xff\n\n", 1<<14)), "300ms", "format=fail"},
		"an endless event": {flood(strings.Repeat("data: x\n", 1<<13)), "5m", "format=warn"},
		"a gzip bomb":      {http.HandlerFunc(bomb), "5m", "format=warn"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(tt.handler)
			t.Cleanup(server.Close)
			expect(t, server.URL, tt.listen, tt.want)
		})
	}
	for name, tt := range map[string]struct{ head, more string }{
		"an endless head":       {"HTTP/1.1 200 OK\r\nA: ", strings.Repeat("x", 1<<16)},
		"an endless interim":    {"", "HTTP/1.1 103 Early Hints\r\n\r\n"},
		"no HTTP":               {"\x00\x01\x02", "SSH-2.0-x\x1b[31m\r\n\r\n"},
		"an endless status":     {"HTTP/1.1 200 ", strings.Repeat("x", 1<<16)},
		"an endless first line": {"", strings.Repeat("x", 1<<16)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expect(t, "http://"+rawServer(t, tt.head, tt.more), "300ms", "head=fail")
		})
	}
}

// expect checks the URL for a moment, and one of the results.
func expect(t *testing.T, url, listen, want string) {
	t.Helper()
	began := time.Now()
	out, err := command(t, "--for", listen, "--json", url)
	if err != nil && !errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
	var report Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	name, result, _ := strings.Cut(want, "=")
	for _, r := range report.Results {
		if r.Check == name && r.Result != result {
			t.Errorf("%+v, want %s", r, want)
		}
		if len(r.Seen) > 1000 || strings.ContainsAny(r.Seen, "\x1b\n\r") {
			t.Errorf("%+v", r)
		}
	}
	if took := time.Since(began); took > 4*time.Minute {
		t.Errorf("took %v", took)
	}
}

func realServer(t *testing.T, e *endpoint) string {
	t.Helper()
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	return server.URL
}

func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	return listener.Addr().String()
}

// rawServer answers each connection with head, and then with more again and again;
// it closes the connection if more is empty.
func rawServer(t *testing.T, head, more string) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				_, err := io.WriteString(conn, head)
				for err == nil && more != "" {
					_, err = io.WriteString(conn, more)
				}
			}()
		}
	}()
	return listener.Addr().String()
}
