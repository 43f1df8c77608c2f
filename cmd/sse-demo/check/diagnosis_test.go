package check

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestHeadDiagnosis: what a failed head means depends on how it failed.
func TestHeadDiagnosis(t *testing.T) {
	redirect := func(to string) *endpoint {
		e := goodEndpoint()
		e.before = func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, strings.ReplaceAll(to, "PATH", r.URL.Path), http.StatusFound)
			return true
		}
		return e
	}
	hijack := func(text string) *endpoint {
		e := goodEndpoint()
		e.before = func(w http.ResponseWriter, _ *http.Request) bool {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, text)
				_ = conn.Close()
			}
			return true
		}
		return e
	}
	for name, tt := range map[string]struct {
		server    *endpoint
		has, lack string
	}{
		"a redirect to itself":         {redirect("PATH"), "redirect", "flush"},
		"a redirect to and fro":        {redirect("/x/PATH"), "redirect", "flush"},
		"a redirect to another scheme": {redirect("ftp://demo.example/"), "redirect", "flush"},
		"a redirect that is no URL":    {redirect("http://[::1"), "redirect", "flush"},
		"closed without an answer":     {hijack(""), "log", "flush"},
		"no HTTP":                      {hijack("SSH-2.0-x\r\n\r\n"), "HTTP", "flush"},
	} {
		report, _ := try(t, tt.server, Options{})
		compare(t, report, onlyHead())
		if text := fmt.Sprint(report.Results[0]); !strings.Contains(text, tt.has) || strings.Contains(text, tt.lack) {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// TestLateHead: a browser waits for a head that comes with the first event, which is
// no failed connection. With --compare it is known who holds it back.
func TestLateHead(t *testing.T) {
	late := func(d time.Duration) *endpoint {
		e := goodEndpoint()
		e.before = func(_ http.ResponseWriter, r *http.Request) bool {
			return r.Method == http.MethodGet && !pause(r.Context(), d)
		}
		return e
	}
	for _, tt := range []struct {
		name            string
		through, direct *endpoint
		want            string
		has, lack       []string
	}{
		{"after 12 s", late(12 * time.Second), nil, onlyHead(), []string{"no answer in 10 s", "browser waits", "--compare"}, []string{"failed connection"}},
		{
			"held back by a proxy", late(12 * time.Second), goodEndpoint(), onlyHead(),
			[]string{"without the proxy 200 OK after 0 ms", "proxy_buffering off"},
			[]string{"flush after WriteHeader", "failed connection"},
		},
		{
			"held back for 4 s by a proxy", late(4 * time.Second), goodEndpoint(), "head=warn delivery=ok",
			[]string{"without the proxy 200 OK after 0 ms", "proxy_buffering off"},
			[]string{"flush after WriteHeader"},
		},
		{"held back by the server", late(12 * time.Second), late(12 * time.Second), onlyHead(), []string{"nor without the proxy", "flush after WriteHeader"}, []string{"proxy_buffering"}},
	} {
		o := Options{}
		hosts := byHost{"demo.example": tt.through}
		if tt.direct != nil {
			o.Compare = new("http://direct.example/events")
			hosts["direct.example"] = tt.direct
		}
		report, _ := try(t, hosts, o)
		compare(t, report, tt.want)
		text := fmt.Sprint(report.Results[0])
		for _, has := range tt.has {
			if !strings.Contains(text, has) {
				t.Errorf("%s: %q is not in %s", tt.name, has, text)
			}
		}
		for _, lack := range tt.lack {
			if strings.Contains(text, lack) {
				t.Errorf("%s: %q is in %s", tt.name, lack, text)
			}
		}
	}
}

// TestFewStreams: an endpoint that refuses one more client does not refuse its id.
func TestFewStreams(t *testing.T) {
	e := goodEndpoint()
	e.before = func(w http.ResponseWriter, r *http.Request) bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		isThird := e.connections > 1 && r.Method == http.MethodGet && r.Header.Get("Accept-Encoding") != "gzip"
		if isThird {
			w.WriteHeader(http.StatusTooManyRequests)
		}
		return isThird
	}
	report, _ := try(t, e, Options{})
	compare(t, report, "resume=fail unknown-id=fail")
	if r := report.Results[9]; !strings.Contains(r.Seen, "any other client gets 429") || strings.Contains(r.Means, "restart") {
		t.Errorf("%+v", r)
	}
}

// TestHTTP10: a browser speaks HTTP/1.1 to a server that answers with HTTP/1.0.
func TestHTTP10(t *testing.T) {
	o := &observation{stream: record{seen: seen{head: head{proto: "HTTP/1.0", url: mustParse(t, "http://demo.example/")}}}}
	if r := judgeHTTP2(o); r.Result != isWarn || strings.Contains(r.Seen, "HTTP/1.0 to every") || !strings.Contains(r.Seen, "HTTP/1.1") {
		t.Errorf("%+v", r)
	}
}

// TestIDs: an id belongs to one event, and a client must be able to send it back.
func TestIDs(t *testing.T) {
	frame := func(format string) func(n int) string {
		return func(n int) string { return strings.ReplaceAll(format, "N", fmt.Sprint(n)) }
	}
	long := func(size int) func(n int) string {
		return func(n int) string { return fmt.Sprintf("id: %0*d\ndata: %d\n\n", size, n, n) }
	}
	for _, tt := range []struct {
		name       string
		frame      func(n int) string
		want, says string
	}{
		{"one id for all", frame("id: 1\ndata: x\n\n"), "ids=fail resume=skip", `the id "1" came`},
		{"one id for two", func(n int) string { return fmt.Sprintf("id: %d\ndata: x\n\n", n/2) }, "ids=fail resume=skip", "the id "},
		{"one id, then none", func(n int) string {
			if n%40 == 22 {
				return "id: 1\ndata: x\n\n"
			}
			return "data: x\n\n"
		}, "resume=skip", "1 of "},
		{"the same content", frame("id: N\ndata: x\n\n"), "", "each its own"},
		{"a control character", frame("id: N\x01\ndata: N\n\n"), "ids=warn resume=skip", `"21\x01"`},
		{"a tab", frame("id: a\tN\ndata: N\n\n"), "ids=warn", `"a\t21"`},
		{"DEL", frame("id: N\x7f\ndata: N\n\n"), "ids=warn resume=skip", `\x7f`},
		{"a control character of Unicode", frame("id: N\u0085\ndata: N\n\n"), "ids=warn", `\u0085`},
		{"a control character in one", func(n int) string {
			if n == 25 {
				return "id: 25\x1b\ndata: 25\n\n"
			}
			return fmt.Sprintf("id: %d\ndata: %d\n\n", n, n)
		}, "ids=warn", `"25\x1b"`},
		{"letters of any language", frame("id: №-N\ndata: N\n\n"), "", ""},
		{"4,096 bytes", long(4096), "", ""},
		{"4,097 bytes", long(4097), "ids=warn resume=skip", "4097 bytes"},
		{"9,000 bytes", long(9000), "ids=warn resume=skip", "9000 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := goodEndpoint()
			e.frame = tt.frame
			e.resume = func(lastID string, newest int) (int, string) {
				text := strings.TrimLeft(strings.TrimPrefix(strings.TrimPrefix(lastID, "a\t"), "№-"), "0")
				text = strings.TrimSuffix(text, "\u0085")
				return resumeWithGap(text, newest)
			}
			report, _ := try(t, e, Options{})
			compare(t, report, tt.want)
			if seen := report.Results[7].Seen; !strings.Contains(seen, tt.says) {
				t.Error(seen)
			}
		})
	}
}

// TestLateBursts: events that come late in bursts are a finding, however short the listening
// is.
func TestLateBursts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		first  time.Duration // of the first burst, after the request
		period time.Duration
		size   int
		For    time.Duration
		want   string
	}{
		{"again and again", 4 * time.Second, 4 * time.Second, 11, 20 * time.Second, isWarn},
		{"twice", 4 * time.Second, 4 * time.Second, 11, 5 * time.Second, isWarn},
		{"at once, and once more", 0, 4 * time.Second, 11, 5 * time.Second, isWarn},
		{"small ones, twice", 4 * time.Second, 4 * time.Second, 4, 5 * time.Second, isOK},
		{"once", 4 * time.Second, time.Hour, 11, 5 * time.Second, isWarn},
		{"once, after over 2 s", 2100 * time.Millisecond, time.Hour, 5, 5 * time.Second, isWarn},
		{"once, after under 2 s", 1900 * time.Millisecond, time.Hour, 5, 5 * time.Second, isOK},
		{"too few", 4 * time.Second, time.Hour, 4, 6 * time.Second, isSkip},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { sendBursts(w, r, tt.first, tt.period, tt.size) })
			report, _ := try(t, server, Options{For: tt.For})
			if r := report.Results[3]; r.Result != tt.want {
				t.Errorf("%+v", r)
			}
			if r := report.Results[8]; r.Result == isFail { // what was missed is held back, not lost
				t.Errorf("%+v", r)
			}
		})
	}
}

// sendBursts sends size events at once, first after the request and then every period. It
// goes on after the last id.
func sendBursts(w http.ResponseWriter, r *http.Request, first, period time.Duration, size int) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	if r.Method == http.MethodHead {
		return
	}
	_ = http.NewResponseController(w).Flush()
	n, _ := strconv.Atoi(r.Header.Get("Last-Event-ID"))
	for wait := first; pause(r.Context(), wait); wait = period {
		for range size {
			n++
			_, _ = fmt.Fprintf(w, "id: %d\ndata: %d\n\n", n, n)
		}
		_ = http.NewResponseController(w).Flush()
	}
}

// TestProgressWidth: the line that says what goes on fits a narrow terminal, so that
// it does not wrap.
func TestProgressWidth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o observation
		o.stream.total = 1_234_567
		ctx, cancel := context.WithTimeout(t.Context(), 61*time.Minute)
		defer cancel()
		var shown strings.Builder
		o.showProgress(ctx, &shown)
		lines := strings.Split(shown.String(), "\r\x1b[K")
		for _, line := range lines {
			if len([]rune(line)) > 60 {
				t.Fatalf("%d characters: %s", len(line), line)
			}
		}
		if last := lines[len(lines)-2]; !strings.HasPrefix(last, "3660 s: 1234567 events, silent for 3660 s") {
			t.Error(last)
		}
	})
}
