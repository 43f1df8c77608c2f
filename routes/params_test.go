package routes_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rs/zerolog"

	"example.com/sse-demo/routes"
	"example.com/sse-demo/routes/tail"
)

type problem struct {
	Type, Title, Detail string
	Status              int
	Errors              []struct{ Field, Rule, Message string }
}

// problem sends a request that must be refused with this status.
func (h *harness) problem(want int, method, path, body string, headers ...string) (p problem) {
	h.Helper()
	response := h.do(method, path, body, headers...)
	defer func() { _ = response.Body.Close() }()
	status, header := response.StatusCode, response.Header
	if status == 200 { // its body may be a stream without an end
		h.Fatalf("%s %s: 200, want %d", method, path, want)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		h.Fatal(err)
	}
	if err := json.Unmarshal(text, &p); err != nil {
		h.Fatalf("%s %s: %d %q", method, path, status, text)
	}
	if status != want || p.Status != want || p.Type != "about:blank" || p.Title == "" || header.Get("Content-Type") != "application/problem+json" {
		h.Errorf("%s %.80s %.80s: %d %s, want %d", method, path, body, status, text, want)
	}
	if (want == 422) != (len(p.Errors) > 0) {
		h.Errorf("%s %s: errors are for 422: %s", method, path, text)
	}
	return p
}

// rules lists what was wrong as "field rule".
func (p problem) rules() string {
	var rules []string
	for _, e := range p.Errors {
		rules = append(rules, e.Field+" "+e.Rule)
		if !strings.HasPrefix(e.Message, e.Field) && e.Rule != "unknown" {
			rules = append(rules, "BAD MESSAGE "+e.Message)
		}
	}
	slices.Sort(rules)
	return strings.Join(rules, ", ")
}

func logFiles(t *testing.T) []routes.LogFile {
	return []routes.LogFile{{Name: "app", Tail: tail.New(filepath.Join(t.TempDir(), "app.log"), zerolog.Nop())}}
}

// TestWhatAnswersRepeat: an answer is not much longer than what it refuses.
func TestWhatAnswersRepeat(t *testing.T) {
	config := options()
	config.Logs = logFiles(t)
	bubble(t, config, func(h *harness) {
		var fields []string
		for i := range 3000 {
			fields = append(fields, fmt.Sprintf(`"%d<\u0001":0`, i))
		}
		long := strings.Repeat("<\u0001é", 4000)
		const most = 8 << 10
		for _, tt := range []struct{ name, method, path, body, header string }{
			{"fields", "POST", "/jobs", "{" + strings.Join(fields, ",") + "}", jsonType},
			{"a field", "POST", "/publish", `{"` + long + `":0}`, jsonType},
			{"parameters", "POST", "/publish?channel=a&" + strings.ReplaceAll(strings.Join(fields[:1000], "&"), `"`, ""), "x", "Content-Type: text/plain"},
			{"a parameter", "POST", "/publish?" + strings.Repeat("%01", 4000), "x", "Content-Type: text/plain"},
			{"a value", "GET", "/stream/tick?symbol=" + strings.Repeat("%01", 4000), "", "A: b"},
			{"values", "GET", "/stream/channel?name=" + strings.Repeat("%01&name=", 4000), "", "A: b"},
			{"an encoding", "GET", "/stream/tick?" + strings.Repeat("%zz", 4000), "", "A: b"},
			{"a file", "GET", "/stream/log?file=" + strings.Repeat("%01", 4000), "", "A: b"},
			{"grep", "GET", "/stream/log?grep=(" + strings.Repeat("<", 200), "", "A: b"},
			{"a path", "GET", "/" + strings.Repeat("a", 12_000), "", "A: b"},
			{"a job", "DELETE", "/jobs/" + strings.Repeat("a", 12_000), "", "A: b"},
			{"a method", strings.Repeat("A", 12_000), "/health", "", "A: b"},
			{"a type", "POST", "/publish", "x", "Content-Type: a/" + strings.Repeat("b", 12_000)},
			{"a kind", "POST", "/jobs", `{"kind":"` + strings.Repeat("<", 12_000) + `"}`, jsonType},
			{"what is no JSON", "POST", "/jobs", strings.Repeat("<", 12_000), jsonType},
		} {
			status, header, body := h.answer(tt.method, tt.path, tt.body, tt.header)
			size := len(body)
			for _, values := range header {
				size += len(strings.Join(values, ""))
			}
			if status < 400 || status >= 500 || size > most {
				t.Errorf("%s: %d, %d bytes: %.300s", tt.name, status, size, body)
			}
		}
		p := h.problem(422, "POST", "/jobs", "{"+strings.Join(fields, ",")+"}", jsonType)
		if last := p.Errors[len(p.Errors)-1]; len(p.Errors) != 21 || last.Field != "body" || !strings.Contains(last.Message, " 2980 more ") {
			t.Errorf("%d errors, the last is %+v", len(p.Errors), last)
		}
	})
}

// TestLongLastEventID: one that no client can send back is cut in the gap event.
func TestLongLastEventID(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		for _, length := range []int{4096, 4097, 12_000} {
			s := h.stream("/stream/tick", "Last-Event-ID: "+strings.Repeat("x", length))
			var gap struct{ After string }
			if err := json.Unmarshal([]byte(s.next().Data), &gap); err != nil || gap.After != strings.Repeat("x", min(length, 4096)) {
				t.Errorf("%d bytes: %d in the gap, %v", length, len(gap.After), err)
			}
			s.close()
		}
	})
}

// TestEncodedBodies are refused for what they are, not for being no JSON.
func TestEncodedBodies(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		for _, path := range []string{"/publish", "/jobs"} {
			for _, coding := range []string{"gzip", "br", "GZIP", "identity, gzip", "nonsense"} {
				h.problem(415, "POST", path, "\x1f\x8b", jsonType, "Content-Encoding: "+coding)
			}
		}
		h.problem(415, "POST", "/publish?channel=a", "x", "Content-Type: text/plain", "Content-Encoding: gzip")
		if status, _, body := h.answer("POST", "/jobs", "{}", jsonType, "Content-Encoding: identity"); status != 202 {
			t.Error(status, body)
		}
	})
}

// TestEveryAnswerIsTakenForWhatItIs: no browser guesses a type.
func TestEveryAnswerIsTakenForWhatItIs(t *testing.T) {
	config := options()
	config.MaxStreams = 1
	bubble(t, config, func(h *harness) {
		for _, path := range []string{
			"/", "/assets/app.js", "/assets/nothing", "/health", "/metrics", "/openapi.json", "/nothing", "/publish", "/stream/tick?wait=0", "/stream/tick?interval=1",
		} {
			synctest.Wait() // the stream before has ended
			if _, header, _ := h.answer("GET", path, ""); header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: %v", path, header)
			}
		}
		synctest.Wait() // the finite stream is released
		s := h.stream("/stream/tick")
		if _, header, body := h.answer("GET", "/stream/tick", "", "Accept: text/event-stream"); header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(body, "busy") {
			t.Errorf("busy: %v %s", header, body)
		}
		s.close()
		for _, path := range []string{"/assets/index.html", "/index.html", "/assets/"} {
			h.problem(404, "GET", path, "")
		}
	})
}

func TestBadParameters(t *testing.T) {
	config := options()
	config.Logs = logFiles(t)
	bubble(t, config, func(h *harness) {
		for query, want := range map[string]string{
			"tick?interval=99":                               "interval min",
			"tick?interval=10001":                            "interval max",
			"tick?interval=-500":                             "interval min",
			"tick?interval=":                                 "interval number",
			"tick?interval=abc":                              "interval number",
			"tick?interval=500.0":                            "interval number",
			"tick?interval=1e3":                              "interval number",
			"tick?interval=0x1F4":                            "interval number",
			"tick?interval=%20500":                           "interval number",
			"tick?interval=99999999999999999999":             "interval max",
			"tick?interval=-99999999999999999999":            "interval min",
			"tick?interval=500&interval=600":                 "interval once",
			"tick?symbol=":                                   "symbol symbol",
			"tick?symbol=ABCDEFGHIJKLM":                      "symbol symbol",
			"tick?symbol=A_B":                                "symbol symbol",
			"tick?symbol=BTC%0A":                             "symbol symbol",
			"tick?symbol=%C3%89":                             "symbol symbol",
			"tick?symbol=%C5%BF":                             "symbol symbol", // ſ, which is an S to some
			"tick?symbol=!&interval=1":                       "interval min, symbol symbol",
			"tick?symbol=%zz":                                "query encoding",
			"tick?a;b":                                       "query encoding",
			"log?lines=-1":                                   "lines min",
			"log?lines=1001":                                 "lines max",
			"log?lines=x":                                    "lines number",
			"log?file=":                                      "file oneof",
			"log?file=other":                                 "file oneof",
			"log?file=other&grep=(&lines=-1":                 "file oneof, grep re2, lines min",
			"log?file=../app":                                "file oneof",
			"log?grep=(":                                     "grep re2",
			"log?grep=(%3F%3Dx)":                             "grep re2",
			"log?grep=" + strings.Repeat("x", 257):           "grep max",
			"log?grep=" + strings.Repeat("é", 129):           "grep max",
			"progress":                                       "id required",
			"progress?id=":                                   "id required",
			"progress?id=a/b":                                "id jobid",
			"progress?id=" + strings.Repeat("x", 65):         "id jobid",
			"channel":                                        "name required",
			"channel?name=":                                  "name channel",
			"channel?name=-a":                                "name channel",
			"channel?name=a*":                                "name channel",
			"channel?name=a&name=b%20c&name=*":               "name channel",
			"channel?name=" + strings.Repeat("x", 129):       "name channel",
			"channel?name=a&replay=1001":                     "replay max",
			"channel?name=a&replay=-1":                       "replay min",
			"channel?name=a" + strings.Repeat("&name=a", 32): "name max",
			"channel?replay=x" + strings.Repeat("&name=%2B", 33):      "name max, replay number",
			"tick?interval=" + url.QueryEscape("<script>\"'\n\x00"):   "interval number",
			"channel?name=" + url.QueryEscape("a\r\nX-Injected: yes"): "name channel",
		} {
			if got := h.problem(422, "GET", "/stream/"+query, "").rules(); got != want {
				t.Errorf("%s: %s, want %s", query, got, want)
			}
		}
		p := h.problem(422, "GET", "/stream/tick?interval=99", "")
		if p.Errors[0].Message != "interval must be at least 100" {
			t.Errorf("%+v", p)
		}
	})
}

func TestEdgesOfParameters(t *testing.T) {
	config := options()
	config.Logs = logFiles(t)
	bubble(t, config, func(h *harness) {
		for _, query := range []string{
			"tick?interval=100", "tick?interval=10000", "tick?symbol=ABCDEFGHIJKL", "tick?symbol=a", "tick?symbol=0.-", "tick?unknown=x&interval=0500",
			"progress?id=" + strings.Repeat("x", 64), "progress?id=a._-Z9",
			"channel?name=a&replay=0", "channel?name=a&replay=1000", "channel?name=" + strings.Repeat("x", 128),
			"channel?name=0._:/-" + strings.Repeat("&name=a", 31),
		} {
			h.stream("/stream/" + query).close()
		}
	})
}

func TestLogEdges(t *testing.T) { // a file's lock is no part of a bubble's time
	config := options()
	config.Logs = logFiles(t)
	h := start(t, config)
	defer h.stop()
	for _, query := range []string{"", "?lines=0", "?lines=1000", "?file=app", "?grep=", "?grep=" + strings.Repeat("é", 128)} {
		h.stream("/stream/log" + query).close()
	}
}

func TestBadBodies(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		for body, want := range map[string]string{
			`{}`:                                                         "channel required, payload required",
			`{"channel":"a"}`:                                            "payload required",
			`{"payload":1}`:                                              "channel required",
			`{"channel":"","payload":1}`:                                 "channel required",
			`{"channel":null,"payload":1}`:                               "channel required",
			`{"channel":5,"payload":1}`:                                  "channel type",
			`{"channel":"_a","payload":1}`:                               "channel channel",
			`{"channel":"a b","payload":1}`:                              "channel channel",
			`{"channel":"a\n","payload":1}`:                              "channel channel",
			`{"channel":"a","payload":1,"x":1}`:                          "x unknown",
			`{"Channel":"a","payload":1}`:                                "Channel unknown, channel required",
			`{"channel":"a","payload":1,"event":""}`:                     "event event",
			`{"channel":"a","payload":1,"event":"a b"}`:                  "event event",
			`{"channel":"a","payload":1,"event":"a\nb"}`:                 "event event",
			`{"channel":"a","payload":1,"event":{}}`:                     "event type",
			`{"channel":"` + strings.Repeat("x", 129) + `","payload":1}`: "channel channel",
			`{"channel":"a","payload":1,"event":"` + strings.Repeat("x", 65) + `"}`: "event event",
			`[]`: "body object", `"x"`: "body object", `null`: "body object", `1`: "body object",
		} {
			if got := h.problem(422, "POST", "/publish", body, jsonType).rules(); got != want {
				t.Errorf("%s: %s, want %s", body, got, want)
			}
		}
		for body, want := range map[string]string{
			`{"durationMs":499}`:            "durationMs min",
			`{"durationMs":600001}`:         "durationMs max",
			`{"durationMs":"500"}`:          "durationMs type",
			`{"durationMs":500.5}`:          "durationMs type",
			`{"id":""}`:                     "id jobid",
			`{"id":"a/b","other":[]}`:       "id jobid, other unknown",
			`{"kind":"poem"}`:               "kind oneof",
			`{"kind":1}`:                    "kind type",
			`{"kind":""}`:                   "kind oneof",
			`{"kind":"answer"}`:             "prompt required",
			`{"kind":"answer","prompt":""}`: "prompt min",
			`{"kind":"answer","prompt":"` + strings.Repeat("é", 8001) + `"}`: "prompt max",
			`{"kind":"answer","prompt":1}`:                                   "prompt type",
			`{"kind":"answer","prompt":"x","durationMs":500}`:                "durationMs excluded",
			`{"kind":"answer","durationMs":1}`:                               "durationMs min, prompt required",
			`{"prompt":"x"}`:                                                 "prompt excluded",
			`{"kind":"build","prompt":"x","id":""}`:                          "id jobid, prompt excluded",
			`[]`:                                                             "body object",
		} {
			if got := h.problem(422, "POST", "/jobs", body, jsonType).rules(); got != want {
				t.Errorf("%s: %s, want %s", body, got, want)
			}
		}
		for _, body := range []string{``, `{`, `{"channel":"a","payload":}`, `{"channel":"a","payload":1}x`, `{"channel":"a","payload":1} {}`, `nul`, "{\"channel\":\"a\",\"payload\":\"\xff\"}", "{\"channel\":\"a\",\"payload\":\"\n\"}", strings.Repeat("[", 20_000)} {
			h.problem(400, "POST", "/publish", body, jsonType)
		}
	})
}

// TestBodyDepth: encoding/json reads JSON that is nested 10,000 deep.
func TestBodyDepth(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		nested := func(depth int) string {
			return `{"channel":"a","payload":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + "}"
		}
		if status, _, body := h.answer("POST", "/publish", nested(10_000), jsonType); status != 200 {
			t.Error(status, body)
		}
		h.problem(400, "POST", "/publish", nested(10_001), jsonType)
	})
}

func TestBodySize(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		const head, tail, limit = `{"channel":"a","payload":"`, `"}`, 64 << 10
		fits := head + strings.Repeat("x", limit-len(head)-len(tail)) + tail
		if status, _, body := h.answer("POST", "/publish", fits, jsonType); status != 200 {
			t.Error(status, body)
		}
		h.problem(413, "POST", "/publish", fits+" ", jsonType)
	})
}

func TestMediaTypes(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		const body = `{"channel":"a","payload":1}`
		for _, header := range []string{"X: none", "Content-Type: text/css", "Content-Type: text/plain; charset=latin1", "Content-Type: application/x-www-form-urlencoded", "Content-Type: application/jsonx", "Content-Type: ;"} {
			h.problem(415, "POST", "/publish", body, header)
		}
		for _, header := range []string{jsonType, "Content-Type: application/json; charset=utf-8", "Content-Type: application/json; charset=latin1", "Content-Type: Application/JSON"} {
			if status, _, text := h.answer("POST", "/publish", body, header); status != 200 {
				t.Error(header, status, text)
			}
		}
	})
}

func TestCrossSiteWritesAreRefused(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		const body = `{"channel":"a","payload":1}`
		h.problem(403, "POST", "/publish", body, jsonType, "Sec-Fetch-Site: cross-site")
		h.problem(403, "POST", "/publish", body, jsonType, "Origin: https://evil.test")
		h.problem(403, "POST", "/jobs", "", "Origin: https://evil.test")
		h.problem(403, "DELETE", "/jobs/a", "", "Sec-Fetch-Site: same-site")
		for _, header := range []string{"Sec-Fetch-Site: same-origin", "Origin: http://sse.test"} {
			if status, _, text := h.answer("POST", "/publish", body, jsonType, header); status != 200 {
				t.Error(header, status, text)
			}
		}
	})
}

func TestUnknownPathsAndMethods(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		for _, path := range []string{"/nothing", "/stream", "/stream/none", "/stream/tick/"} {
			h.problem(404, "GET", path, "")
		}
		for path, allow := range map[string]string{"/stream/tick": "GET", "/health": "GET", "/publish": "POST", "/jobs/a": "DELETE"} {
			h.problem(405, "PUT", path, "")
			if _, header, _ := h.answer("PUT", path, ""); !strings.Contains(header.Get("Allow"), allow) {
				t.Errorf("%s: Allow %q", path, header.Get("Allow"))
			}
		}
		for _, path := range []string{"/stream/tick", "/health", "/metrics"} {
			if status, header, body := h.answer("HEAD", path, ""); status != 200 || body != "" || header.Get("Content-Type") == "" {
				t.Error(path, status, body, header)
			}
		}
		if status, header, body := h.answer("HEAD", "/nothing", ""); status != 404 || body != "" || header.Get("Content-Type") != "application/problem+json" {
			t.Error(status, body)
		}
	})
}

// TestInputIsEscapedInLogs sends line ends and control characters wherever a
// client can.
func TestInputIsEscapedInLogs(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		h.stream("/stream/channel?name=a&lastEventId=a%0Ab%1B[31m", "User-Agent: x\ty").close()
		for line := range strings.Lines(h.log.text()) {
			if !json.Valid([]byte(line)) || strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\n\x1b") {
				t.Errorf("%q", fmt.Sprint(line))
			}
		}
	})
}
