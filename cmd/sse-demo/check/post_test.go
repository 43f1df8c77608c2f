package check

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// An answerer answers a request with a body with a stream of 20 events in 4 s.
type answerer struct {
	holdBack bool // all events come at the end
	header   func(h http.Header, r *http.Request)
	status   int // instead of the stream
	stays    bool
	breaks   bool // after the last event

	mu       sync.Mutex
	requests []string
	headers  []http.Header
}

func (a *answerer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.mu.Lock()
	a.requests = append(a.requests, r.Method+" "+string(body))
	a.headers = append(a.headers, r.Header)
	a.mu.Unlock()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	if a.header != nil {
		a.header(w.Header(), r)
	}
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
		return
	}
	flush := func() { _ = http.NewResponseController(w).Flush() }
	flush()
	for n := range 20 {
		if !pause(r.Context(), 200*time.Millisecond) {
			return
		}
		_, _ = fmt.Fprintf(w, "data: {\"n\":%d}\n\n", n)
		if !a.holdBack {
			flush()
		}
	}
	flush()
	if a.breaks {
		panic(http.ErrAbortHandler)
	}
	if a.stays {
		<-r.Context().Done()
	}
}

// goodAnswer is the result for a stream that answers a POST, over plain http.
const goodAnswer = "retry=skip ids=skip resume=skip unknown-id=skip methods=skip"

func TestPost(t *testing.T) {
	body := `{"stream":true}`
	allow := func(h http.Header, r *http.Request) {
		h.Set("Access-Control-Allow-Origin", "https://app.example.com")
		h.Set("Access-Control-Allow-Headers", "content-type")
	}
	for _, tt := range []struct {
		name     string
		server   *answerer
		options  Options
		want     string
		requests string // all of them
	}{
		{"a good answer", &answerer{}, Options{}, "", "POST"},
		{"another method", &answerer{}, Options{Method: new("PUT")}, "", "PUT"},
		{"held back until the end", &answerer{holdBack: true}, Options{}, "delivery=warn", "POST"},
		{"it stays open", &answerer{stays: true}, Options{}, "heartbeat=fail", "POST"},
		{"it breaks off", &answerer{breaks: true}, Options{}, "delivery=warn", "POST"},
		{"a bad request", &answerer{status: 400}, Options{}, onlyHead(), "POST"},
		{"JSON", &answerer{header: func(h http.Header, _ *http.Request) { h.Set("Content-Type", "application/json") }}, Options{}, "media-type=fail", "POST"},
		{"no origin is allowed", &answerer{}, Options{Origin: new("https://app.example.com")}, "cors=fail", "OPTIONS POST"},
		{"the origin is allowed", &answerer{header: allow}, Options{Origin: new("https://app.example.com")}, "cors=ok", "OPTIONS POST"},
		{"the origin is allowed, the method is not", &answerer{header: allow}, Options{Origin: new("https://app.example.com"), Method: new("PUT")}, "cors=fail", "OPTIONS PUT"},
		{"the origin is allowed by OPTIONS only", &answerer{header: func(h http.Header, r *http.Request) {
			if r.Method == http.MethodOptions {
				allow(h, r)
			}
		}}, Options{Origin: new("https://app.example.com")}, "cors=fail", "OPTIONS POST"},
		{
			"a browser asks nothing first", &answerer{header: allow},
			Options{Origin: new("https://app.example.com"), Header: []string{"Content-Type: text/plain"}},
			"cors=ok", "POST",
		},
		{"compressed", &answerer{header: func(h http.Header, _ *http.Request) { h.Set("Content-Encoding", "br") }}, Options{}, "delivery=skip format=skip compression=warn", "POST"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := tt.server
			tt.options.Data = &body
			report, took := try(t, server, tt.options)
			want := goodAnswer + " " + tt.want
			if tt.want == onlyHead() {
				want = onlyHead()
			}
			compare(t, report, want)
			if !tt.server.stays && took > 5*time.Second {
				t.Errorf("took %v: listening ends with the stream", took)
			}
			var methods []string
			for i, request := range server.requests {
				method, got, _ := strings.Cut(request, " ")
				methods = append(methods, method)
				if method != http.MethodOptions && got != body || method == http.MethodOptions && got != "" {
					t.Errorf("%s with %q", method, got)
				}
				contentType := server.headers[i].Get("Content-Type")
				if len(tt.options.Header) == 0 && method != http.MethodOptions && (contentType != "application/json" || server.headers[i].Get("Accept-Encoding") != "identity") {
					t.Error(server.headers[i])
				}
			}
			if got := strings.Join(methods, " "); got != tt.requests {
				t.Errorf("requests %s, want %s", got, tt.requests)
			}
		})
	}
}

// TestPostCompare sends the body once more to the server itself.
func TestPostCompare(t *testing.T) {
	body := "x"
	for name, tt := range map[string]struct {
		proxied *answerer
		want    string
	}{
		"no proxy":      {&answerer{}, ""},
		"held back":     {&answerer{holdBack: true}, "delivery=fail"},
		"and it is PUT": {&answerer{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			direct := &answerer{}
			options := Options{Data: &body, Compare: new("http://direct.example/events")}
			mux := http.NewServeMux()
			mux.Handle("demo.example/", tt.proxied)
			mux.Handle("direct.example/", direct)
			report, _ := try(t, mux, options)
			compare(t, report, goodAnswer+" "+tt.want)
			if len(direct.requests) != 1 || len(tt.proxied.requests) != 1 {
				t.Error(direct.requests, tt.proxied.requests)
			}
		})
	}
}

// TestPostRedirect: a body that is sent to another origin keeps its type, but the
// headers of the user stay.
func TestPostRedirect(t *testing.T) {
	other, mux := &answerer{}, http.NewServeMux()
	mux.Handle("demo.example/", http.RedirectHandler("http://other.example/", http.StatusPermanentRedirect))
	mux.Handle("other.example/", other)
	report, _ := try(t, mux, Options{Data: new("x"), Header: []string{"Authorization: secret"}})
	compare(t, report, goodAnswer)
	for i, h := range other.headers {
		if other.requests[i] != "POST x" || h.Get("Content-Type") != "application/json" || h.Get("Authorization") != "" {
			t.Error(other.requests[i], h)
		}
	}
}

// TestPostGzip asks with gzip if --header does.
func TestPostGzip(t *testing.T) {
	body := "x"
	for _, holdBack := range []bool{false, true} {
		e := goodEndpoint()
		e.gzip, e.noFlush, e.interval, e.age = true, holdBack, 200*time.Millisecond, 4*time.Second
		server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Method, e.began = http.MethodGet, time.Now() // the endpoint answers GET only
			e.ServeHTTP(w, r)
		})
		report, _ := try(t, server, Options{Data: &body, Header: []string{"Accept-Encoding: gzip"}})
		want := map[bool]string{true: "delivery=warn compression=fail"}[holdBack]
		compare(t, report, goodAnswer+" "+want)
	}
}

// TestPostShort: a short answer that comes late was not held back by its compressor.
func TestPostShort(t *testing.T) {
	server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("Content-Encoding", "gzip")
		_ = http.NewResponseController(w).Flush()
		pause(r.Context(), 4*time.Second)
		zip := gzip.NewWriter(w)
		_, _ = io.WriteString(zip, "data: yes\n\ndata: [DONE]\n\n")
		_ = zip.Close()
	})
	report, _ := try(t, server, Options{Data: new("x"), Header: []string{"Accept-Encoding: gzip"}})
	compare(t, report, goodAnswer+" delivery=skip")
}

// TestData: the body is a text or a file, and may be empty.
func TestData(t *testing.T) {
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for data, want := range map[string]string{"": "", "a text": "a text", "@" + file: "from a file\n"} {
		o, err := newObservation(Options{URL: "http://x/", For: time.Second, Data: &data})
		if err != nil || !o.posts() || string(o.client.body) != want || o.client.method != http.MethodPost {
			t.Errorf("%q: %v, %+v", data, err, o)
		}
	}
	for says, args := range map[string][]string{
		"--method needs --data":        {"--method", "PUT"},
		"no such file":                 {"--data", "@" + file + ".missing"},
		"is a directory":               {"--data", "@" + t.TempDir()},
		"do not go together":           {"--data", "x", "--all-methods"},
		`must be like POST: "PO ST"`:   {"--data", "x", "--method", "PO ST"},
		`--header must be like 'Name:`: {"--data", "x", "--header", "x"},
	} {
		_, err := command(t, append(args, "http://127.0.0.1:1/")...)
		if !errors.Is(err, ErrNotTried) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %q", args, err, says)
		}
	}
}

// TestStrict: a warning is a failure for the exit status only.
func TestStrict(t *testing.T) {
	t.Parallel()
	e := goodEndpoint() // over plain http, which is a warning
	e.began, e.interval = time.Now(), 100*time.Millisecond
	url := realServer(t, e)
	var checking sync.WaitGroup
	for _, tt := range []struct {
		args   []string
		failed bool
	}{{nil, false}, {[]string{"--strict"}, true}} {
		checking.Go(func() {
			out, err := command(t, append(tt.args, "--for", "1s", url)...)
			if errors.Is(err, ErrFailed) != tt.failed || !strings.Contains(out, "warn  http2") || strings.Contains(out, "fail") {
				t.Errorf("%q: %v\n%s", tt.args, err, out)
			}
		})
	}
	checking.Wait()
}
