package check

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestCORS(t *testing.T) {
	const origin = "https://app.example.com"
	allow := func(allowed, credentials, headers string) func(h http.Header, r *http.Request) {
		return func(h http.Header, r *http.Request) {
			if allowed == "reflect" {
				allowed := r.Header.Get("Origin")
				h.Set("Access-Control-Allow-Origin", allowed)
			} else if allowed != "" {
				h.Set("Access-Control-Allow-Origin", allowed)
			}
			if credentials != "" {
				h.Set("Access-Control-Allow-Credentials", credentials)
			}
			if headers != "" {
				h.Set("Access-Control-Allow-Headers", headers)
			}
		}
	}
	for _, tt := range []struct {
		name   string
		header func(h http.Header, r *http.Request)
		add    []string // --header
		want   string
	}{
		{"none", nil, nil, "cors=fail"},
		{"another", allow("https://other.example.com", "", ""), nil, "cors=fail"},
		{"two", allow(origin+", "+origin, "", ""), nil, "cors=fail"},
		{"this one", allow(origin, "", ""), nil, "cors=ok"},
		{"this one with credentials", allow(origin, "true", ""), nil, "cors=ok"},
		{"all", allow("*", "", ""), nil, "cors=ok"},
		{"all, to a cookie", allow("*", "true", ""), []string{"Cookie: a=b"}, "cors=fail"},
		{"no credentials, to a cookie", allow(origin, "", ""), []string{"Cookie: a=b"}, "cors=fail"},
		{"reflected", allow("reflect", "", ""), nil, "cors=ok"},
		{"reflected with credentials", allow("reflect", "true", ""), nil, "cors=warn"},
		{"a header that is not allowed", allow(origin, "", "x-a"), []string{"X-B: 1"}, "cors=fail"},
		{"a header that is allowed", allow(origin, "", "x-a, X-B"), []string{"X-B: 1"}, "cors=ok"},
		{"any header", allow(origin, "", "*"), []string{"X-B: 1"}, "cors=ok"},
		{"any header, to a cookie", allow(origin, "true", "*"), []string{"Cookie: a=b", "X-B: 1"}, "cors=fail"},
		{"a header and a cookie that are allowed", allow(origin, "true", "x-b"), []string{"Cookie: a=b", "X-B: 1"}, "cors=ok"},
		{"no credentials before, to a cookie", func(h http.Header, r *http.Request) {
			allow(origin, map[bool]string{true: "true"}[r.Method == http.MethodGet], "x-b")(h, r)
		}, []string{"Cookie: a=b", "X-B: 1"}, "cors=fail"},
		{"any header but Authorization", allow(origin, "", "*"), []string{"Authorization: x"}, "cors=fail"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := goodEndpoint()
			e.header = tt.header
			e.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodOptions {
					return false
				}
				if r.Header.Get("X-B") != "" || r.Header.Get("Authorization") != "" {
					t.Error("the preflight has the headers")
				}
				tt.header(w.Header(), r)
				w.WriteHeader(http.StatusNoContent)
				return true
			}
			report, _ := try(t, e, Options{Origin: new(origin), Header: tt.add})
			compare(t, report, tt.want)
		})
	}
}

// TestPreflightHost: OPTIONS goes to the Host that --header names, as all others do.
func TestPreflightHost(t *testing.T) {
	const origin = "https://app.example.com"
	e := goodEndpoint()
	e.before = func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Access-Control-Allow-Headers", "x-a")
		return r.Method == http.MethodOptions
	}
	report, _ := try(t, byHost{"virtual.example": e, "demo.example": &endpoint{before: refuse}}, Options{Origin: new(origin), Header: []string{"Host: virtual.example", "X-A: 1"}})
	compare(t, report, "cors=ok")
}

func refuse(w http.ResponseWriter, _ *http.Request) bool {
	w.WriteHeader(http.StatusMisdirectedRequest)
	return true
}

func TestOwnOrigin(t *testing.T) {
	report, _ := try(t, goodEndpoint(), Options{Origin: new("http://demo.example")})
	compare(t, report, "cors=ok")
}

// TestRequests: nothing but GET, HEAD and OPTIONS is sent without --all-methods,
// and never a body.
func TestRequests(t *testing.T) {
	for _, all := range []bool{false, true} {
		e := goodEndpoint()
		e.before = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.ContentLength != 0 {
				t.Errorf("%s with a body of %d bytes", r.Method, r.ContentLength)
			}
			return false
		}
		report, took := try(t, e, Options{Origin: new("https://app.example.com"), Header: []string{"X-A: 1"}, AllMethods: all})
		compare(t, report, "cors=fail")
		if took > 22*time.Second {
			t.Errorf("took %v", took)
		}
		counts := map[string]int{}
		for _, method := range e.methods {
			counts[method]++
		}
		for _, method := range []string{"POST", "PUT", "DELETE"} {
			if want := map[bool]int{true: 1}[all]; counts[method] != want {
				t.Errorf("%d times %s, want %d", counts[method], method, want)
			}
			delete(counts, method)
		}
		if len(counts) != 3 || counts["HEAD"] != 1 || counts["OPTIONS"] != 1 || counts["GET"] > 7 {
			t.Error(counts)
		}
		for i, h := range e.headers {
			encoding := h.Get("Accept-Encoding")
			if e.methods[i] == "GET" && encoding != "identity" && encoding != "gzip" || h.Get("Accept") != "text/event-stream" {
				t.Error(h)
			}
		}
	}
}

func TestAllMethods(t *testing.T) {
	for _, tt := range []struct {
		status     int // that PUT is answered; 0 is no answer
		want, says string
	}{
		{200, "methods=warn", "PUT: 200 OK"},
		{201, "", "POST: 405 Method Not Allowed; PUT: 201 Created; DELETE: 405"},
		{204, "", "PUT: 204 No Content"},
		{302, "", "PUT: 302 Found"},
		{0, "", "PUT: no answer in 2 s"},
	} {
		e := goodEndpoint()
		e.before = func(w http.ResponseWriter, r *http.Request) bool {
			switch {
			case r.Method != http.MethodPut:
				return false
			case tt.status == 0:
				pause(r.Context(), time.Hour)
			default:
				w.WriteHeader(tt.status)
			}
			return true
		}
		report, _ := try(t, e, Options{AllMethods: true})
		compare(t, report, tt.want)
		if seen := report.Results[13].Seen; !strings.Contains(seen, tt.says) {
			t.Errorf("%d: %s", tt.status, seen)
		}
	}
}

// TestAllMethodsUnanswered: each method is waited for, although the probes of a slow
// stream last for longer than one of them may.
func TestAllMethodsUnanswered(t *testing.T) {
	e := goodEndpoint()
	e.delay = 6 * time.Second
	e.before = func(_ http.ResponseWriter, r *http.Request) bool {
		return r.Method != http.MethodGet && r.Method != http.MethodHead && !pause(r.Context(), time.Hour)
	}
	report, _ := try(t, e, Options{AllMethods: true, For: time.Second})
	const want = "HEAD answers like GET; POST: no answer in 12 s; PUT: no answer in 12 s; DELETE: no answer in 12 s"
	if seen := report.Results[13].Seen; seen != want {
		t.Errorf("%s, want %s", seen, want)
	}
}

// TestRedirects: as many as browsers follow, and no more.
func TestRedirects(t *testing.T) {
	for redirects, want := range map[int]string{20: "", 21: onlyHead()} {
		e := goodEndpoint()
		e.before = func(w http.ResponseWriter, r *http.Request) bool {
			n, _ := strconv.Atoi(r.URL.RawQuery)
			if n < redirects {
				http.Redirect(w, r, fmt.Sprint("/events?", n+1), http.StatusFound)
			}
			return n < redirects
		}
		report, _ := try(t, e, Options{})
		compare(t, report, want)
	}
}

// TestRedirect: headers of the user, which may be secrets, go to the URL's own
// origin only.
func TestRedirect(t *testing.T) {
	redirect := func(to string) *endpoint {
		e := goodEndpoint()
		e.before = func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/events") {
				http.Redirect(w, r, to, http.StatusTemporaryRedirect)
				return true
			}
			return false
		}
		return e
	}
	own, other := redirect("/new"), goodEndpoint()
	report, _ := try(t, byHost{"demo.example": own}, Options{Header: []string{"Authorization: x"}})
	compare(t, report, "")
	for _, h := range own.headers {
		if h.Get("Authorization") != "x" {
			t.Error("own origin: ", h)
		}
	}
	options := Options{Header: []string{"Authorization: x", "X-Key: y", "Cookie: z", "Accept: text/event-stream"}, AllMethods: true}
	options.URL = "http://demo.example/events?secret"
	report, _ = try(t, byHost{"demo.example": redirect("http://demo.example:8080/new"), "demo.example:8080": other}, options)
	compare(t, report, "")
	for _, h := range other.headers {
		if h.Get("Authorization")+h.Get("X-Key")+h.Get("Cookie")+h.Get("Referer") != "" || h.Get("Accept") != "text/event-stream" {
			t.Error("another origin: ", h)
		}
	}
	if !slices.Contains(other.methods, "DELETE") {
		t.Error(other.methods)
	}
	report, _ = try(t, byHost{"demo.example": redirect("/a/events")}, Options{})
	compare(t, report, onlyHead())
}

// TestListening: how long the check takes, and what it does when a stream ends.
func TestListening(t *testing.T) {
	for _, tt := range []struct {
		name     string
		options  Options
		change   func(e *endpoint)
		want     string
		min, max time.Duration
	}{
		{"good", Options{}, func(*endpoint) {}, "", 20 * time.Second, 21 * time.Second},
		{"longer", Options{For: time.Minute}, func(*endpoint) {}, "", time.Minute, 61 * time.Second},
		{"short", Options{For: 6 * time.Second}, func(*endpoint) {}, "", 6 * time.Second, 7 * time.Second},
		{"until the next heartbeat", Options{}, func(e *endpoint) { e.events = 25 }, "heartbeat=ok resume=ok", 20 * time.Second, 36 * time.Second},
		{"silent for ever", Options{}, func(e *endpoint) { e.events, e.heartbeat = 25, 0 }, "heartbeat=fail", 58 * time.Second, 62 * time.Second},
		{
			"a slow first byte",
			Options{For: time.Second},
			func(e *endpoint) { e.delay = 7 * time.Second },
			"first-byte=warn delivery=skip heartbeat=ok ids=skip resume=skip", 7 * time.Second, 23 * time.Second,
		},
		{"it ends again and again", Options{}, func(e *endpoint) { e.age = 4 * time.Second }, "", 20 * time.Second, 36 * time.Second},
		{"it ends, and begins again with the first event", Options{}, func(e *endpoint) {
			e.age = 2500 * time.Millisecond
			e.resume = func(_ string, newest int) (int, string) { return min(newest+1, 21), "" }
		}, "resume=fail unknown-id=ok", 20 * time.Second, 36 * time.Second},
		{"it ends for good", Options{}, func(e *endpoint) {
			e.age = 8 * time.Second
			e.before = func(w http.ResponseWriter, r *http.Request) bool {
				if last := r.Header.Get("Last-Event-ID"); last == "28" || last == "27" {
					w.WriteHeader(http.StatusNoContent)
					return true
				}
				return false
			}
		}, "", 10 * time.Second, 24 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := goodEndpoint()
			tt.change(e)
			report, took := try(t, e, tt.options)
			compare(t, report, tt.want)
			if took < tt.min || took > tt.max {
				t.Errorf("took %v, not %v to %v", took, tt.min, tt.max)
			}
		})
	}
}
