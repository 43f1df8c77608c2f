package check

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"
)

// results of a good endpoint over plain http, whose events come every second.
var goodResults = map[string]string{
	"head": isOK, "media-type": isOK, "first-byte": isOK, "delivery": isOK, "heartbeat": isSkip, "format": isOK, "retry": isOK,
	"ids": isOK, "resume": isOK, "unknown-id": isOK, "compression": isOK, "cors": isSkip, "http2": isWarn, "methods": isOK,
}

// onlyHead is what is left if head fails.
func onlyHead() string {
	want := "head=fail"
	for _, c := range checks[1:] {
		want += " " + c.name + "=skip"
	}
	return want
}

// compare checks the results: want names those that differ from goodResults, like
// "ids=fail resume=skip".
func compare(t *testing.T, report Report, want string) {
	t.Helper()
	expected := maps.Clone(goodResults)
	for pair := range strings.FieldsSeq(want) {
		name, result, _ := strings.Cut(pair, "=")
		expected[name] = result
	}
	if len(report.Results) != len(checks) {
		t.Fatalf("%d results", len(report.Results))
	}
	for i, r := range report.Results {
		if r.Check != checks[i].name {
			t.Errorf("check %d is %s, want %s", i, r.Check, checks[i].name)
		}
		if r.Result != expected[r.Check] {
			t.Errorf("%s: %s, want %s: %s", r.Check, r.Result, expected[r.Check], r.Seen)
		}
		isFinding := r.Result == isWarn || r.Result == isFail
		if r.Seen == "" || (r.Means != "") != isFinding || (r.Fix != "") != isFinding {
			t.Errorf("%+v", r)
		}
		if strings.ContainsAny(r.Seen+r.Means+r.Fix, "\n\r\x1b") {
			t.Errorf("not one line: %+v", r)
		}
	}
}

// TestFaults tries endpoints with one fault each: every row of the table of
// checks, both columns, and what must not be taken for a fault.
func TestFaults(t *testing.T) {
	status := func(code int) func(e *endpoint) {
		return func(e *endpoint) {
			e.before = func(w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(code)
				return true
			}
		}
	}
	header := func(name string, values ...string) func(e *endpoint) {
		return func(e *endpoint) {
			e.header = func(h http.Header, _ *http.Request) {
				h.Del(name)
				for _, v := range values {
					h.Add(name, v)
				}
			}
		}
	}
	wait := func(d time.Duration) func(e *endpoint) {
		return func(e *endpoint) {
			e.before = func(_ http.ResponseWriter, r *http.Request) bool { return !pause(r.Context(), d) }
		}
	}
	frame := func(format string) func(e *endpoint) {
		return func(e *endpoint) {
			e.frame = func(n int) string { return strings.ReplaceAll(format, "N", fmt.Sprint(n)) }
		}
	}
	retry := func(text string) func(e *endpoint) {
		return func(e *endpoint) { e.retry = func(int) string { return text } }
	}
	resume := func(f func(id, newest int) (int, string)) func(e *endpoint) {
		return func(e *endpoint) {
			e.resume = func(lastID string, newest int) (int, string) {
				var id int
				if _, err := fmt.Sscan(lastID, &id); err != nil {
					return resumeWithGap(lastID, newest)
				}
				return f(id, newest)
			}
		}
	}
	unknown := func(f func(newest int) (int, string)) func(e *endpoint) {
		return func(e *endpoint) {
			e.resume = func(lastID string, newest int) (int, string) {
				if lastID == unknownID {
					return f(newest)
				}
				return resumeWithGap(lastID, newest)
			}
		}
	}
	statusIf := func(code int, is func(r *http.Request) bool) func(e *endpoint) {
		return func(e *endpoint) {
			e.before = func(w http.ResponseWriter, r *http.Request) bool {
				if is(r) {
					w.WriteHeader(code)
					return true
				}
				return false
			}
		}
	}
	silent := func(d time.Duration) func(e *endpoint) {
		return func(e *endpoint) { e.heartbeat, e.interval, e.events = d, time.Second, 1 }
	}
	isUnknown := func(r *http.Request) bool { return r.Header.Get("Last-Event-ID") == unknownID }
	acceptsGzip := func(r *http.Request) bool { return r.Header.Get("Accept-Encoding") == "gzip" }
	isHead := func(r *http.Request) bool { return r.Method == http.MethodHead }
	few := " delivery=skip ids=skip resume=skip"

	for _, tt := range []struct {
		name   string
		change func(e *endpoint)
		want   string // results that differ from those of a good endpoint
	}{
		{"good", func(*endpoint) {}, ""},
		{"many events", func(e *endpoint) { e.interval = 10 * time.Millisecond }, ""},
		{"few events", func(e *endpoint) { e.interval = 6 * time.Second }, "delivery=skip heartbeat=ok resume=skip"},

		{"head: 404", status(404), onlyHead()},
		{"head: 204", status(204), onlyHead()},
		{"head: 503", status(503), onlyHead()},
		{"head: redirect to nowhere", status(302), onlyHead()},
		{"head: never", wait(time.Hour), onlyHead()},
		{"head: after 11 s", wait(11 * time.Second), onlyHead()},
		{"head: after 2 s", wait(2 * time.Second), "head=warn"},
		{"head: after 900 ms", wait(900 * time.Millisecond), ""},

		{"media-type: json", header("Content-Type", "application/json"), "media-type=fail"},
		{"media-type: none", header("Content-Type", ""), "media-type=fail"},
		{"media-type: another one after it", header("Content-Type", "text/event-stream", "text/html"), "media-type=fail"},
		{"media-type: another one before it", header("Content-Type", "text/html", "text/event-stream"), ""},
		{"media-type: none after it", header("Content-Type", "text/event-stream, x, */*"), ""},
		{"media-type: capitals", header("Content-Type", "Text/Event-Stream; Charset=UTF-8"), ""},
		{"media-type: Latin-1", header("Content-Type", "text/event-stream; charset=iso-8859-1"), "media-type=warn"},
		{"media-type: Latin-1, too", header("Content-Type", "text/event-stream; charset=utf-8; charset=latin1"), "media-type=warn"},
		{"media-type: UTF-8 twice", header("Content-Type", `text/event-stream;charset=UTF-8;charset="utf-8"`), ""},
		{"media-type: no charset", header("Content-Type", "text/event-stream; charset=; x"), ""},
		{"media-type: cacheable", header("Cache-Control", "public, max-age=60"), "media-type=warn"},
		{"media-type: no Cache-Control", header("Cache-Control"), "media-type=warn"},
		{"media-type: two lines", header("Cache-Control", "no-transform", "Max-Age=0"), ""},
		{"media-type: no-store", header("Cache-Control", "no-store"), ""},
		{"media-type: private", header("Cache-Control", "private"), ""},

		{"first-byte: after 6 s", func(e *endpoint) { e.delay = 6 * time.Second }, "first-byte=warn heartbeat=ok"},
		{"first-byte: after 4 s", func(e *endpoint) { e.delay = 4 * time.Second }, ""},
		{"first-byte: never", func(e *endpoint) {
			e.retry, e.resume, e.events, e.heartbeat = func(int) string { return "" }, func(string, int) (int, string) { return 1000, "" }, 1, 0
		}, "first-byte=warn heartbeat=fail format=skip retry=warn unknown-id=warn" + few},

		{"delivery: bursts", func(e *endpoint) { e.burst = 3 }, "delivery=warn"},
		{"delivery: a replay, then one by one", func(e *endpoint) {
			e.resume = func(lastID string, newest int) (int, string) {
				if lastID == "" {
					return newest - 9, ""
				}
				return resumeWithGap(lastID, newest)
			}
		}, ""},

		{"heartbeat: after 56 s", silent(56 * time.Second), "heartbeat=fail" + few},
		{"heartbeat: never", silent(0), "heartbeat=fail" + few},
		{"heartbeat: after 54 s", silent(54 * time.Second), "heartbeat=warn" + few},
		{"heartbeat: after 31 s", silent(31 * time.Second), "heartbeat=warn" + few},
		{"heartbeat: after 29 s", silent(29 * time.Second), "heartbeat=ok" + few},
		{"heartbeat: after 5 s", silent(5 * time.Second), "heartbeat=ok" + few},

		{"format: not UTF-8", frame("id: N\ndata: N\xff\n\n"), "format=fail"},
		{"format: NUL in an id", frame("id: N\x00\ndata: N\n\n"), "format=fail ids=warn resume=skip"},
		{"format: retry", retry("retry: 3000\nretry: soon\n"), "format=fail retry=warn"},
		{"format: cut off", func(e *endpoint) { e.age, e.onEnd = 7*time.Second, "id: 99\ndata: cut" }, "format=fail"},
		{"delivery: broken off", func(e *endpoint) { e.age, e.breaks = 7*time.Second, true }, "delivery=warn"},
		{"format: an event broken off", func(e *endpoint) { e.age, e.breaks, e.onEnd = 7*time.Second, true, "id: 99\ndata: cut" }, "delivery=warn"},
		{"format: a comment cut off", func(e *endpoint) { e.age, e.onEnd = 7*time.Second, ": bye" }, ""},
		{"format: a clean end", func(e *endpoint) { e.age = 7 * time.Second }, ""},
		{"format: CRLF", frame("id: N\r\ndata: N\r\n\r\n"), ""},
		{"format: CR", frame("id: N\rdata: N\r\r"), "format=warn"},
		{"format: byte order mark", func(e *endpoint) {
			e.retry = func(n int) string { return fmt.Sprintf("\ufeffretry: %d\n", 1000+n) }
		}, "format=warn"},
		{"format: empty id", frame("id:\ndata: N\n\nid: N\ndata: N\n\n"), "format=warn delivery=warn"},
		{"format: unknown field", frame("id: N\nmessage: x\ndata: N\n\n"), "format=warn"},
		{"format: no data", frame("event: ping\n\nid: N\ndata: N\n\n"), "format=warn"},
		{"format: a block with retry alone", func(e *endpoint) {
			e.retry = func(n int) string { return fmt.Sprintf("retry: %d\n\n", 1000+n) }
		}, "format=warn"},
		{"format: comments alone", frame("id: N\ndata: N\n\n: y\n\n"), ""},
		{"format: several lines, no space", frame("event:a\nid:N\ndata:N\ndata\n\n"), ""},

		{"retry: none", retry(""), "retry=warn"},
		{"retry: short", func(e *endpoint) { e.retry = func(n int) string { return fmt.Sprintf("retry: %d\n", 400+n) } }, "retry=warn"},
		{"retry: the same", retry("retry: 3000\n"), "retry=warn"},
		{"retry: late", func(e *endpoint) {
			e.retry = func(int) string { return "" }
			e.frame = func(n int) string { return fmt.Sprintf("retry: %d\nid: %d\ndata: x%d\n\n", 1000+n, n, n) }
		}, ""},

		{"ids: always the same", frame("id: 1\ndata: N\n\n"), "ids=fail resume=skip"},
		{"ids: none", frame("data: N\n\n"), "ids=warn resume=skip"},
		{"ids: some", frame("data: a N\n\nid: N\ndata: b N\n\n"), "delivery=warn"},

		{"resume: ignored", resume(func(_, newest int) (int, string) { return newest + 1, "" }), "resume=fail"},
		{"resume: one lost", resume(func(id, _ int) (int, string) { return id + 2, "" }), "resume=fail"},
		{"resume: one repeated", resume(func(id, _ int) (int, string) { return id, "" }), "resume=fail"},
		{"resume: from the first", resume(func(int, int) (int, string) { return 1, "" }), "resume=fail"},
		{"resume: out of order", resume(func(id, newest int) (int, string) {
			return newest + 1, fmt.Sprintf("id: %d\ndata: {\"n\":%d}\n\nid: %d\ndata: {\"n\":%d}\n\n", id+2, id+2, id+1, id+1)
		}), "resume=fail"},
		{"resume: nothing new", resume(func(id, newest int) (int, string) {
			missed := ""
			for n := id + 1; n <= newest; n++ {
				missed += fmt.Sprintf("id: %d\ndata: {\"n\":%d}\n\n", n, n)
			}
			return 1 << 20, missed
		}), "resume=fail"},
		{"resume: refused", statusIf(500, func(r *http.Request) bool {
			return r.Header.Get("Last-Event-ID") != "" && !isUnknown(r)
		}), "resume=fail"},

		{"resume: a page", func(e *endpoint) {
			e.header = func(h http.Header, r *http.Request) {
				if r.Header.Get("Last-Event-ID") != "" && !isUnknown(r) {
					h.Set("Content-Type", "text/html")
				}
			}
		}, "resume=fail"},

		{"unknown-id: 400", statusIf(400, isUnknown), "unknown-id=fail"},
		{"unknown-id: 204", statusIf(204, isUnknown), ""},
		{"unknown-id: a page", func(e *endpoint) {
			e.header = func(h http.Header, r *http.Request) {
				if isUnknown(r) {
					h.Set("Content-Type", "text/html")
				}
			}
		}, "unknown-id=fail"},
		{"unknown-id: no sign", unknown(func(newest int) (int, string) { return newest + 1, "" }), "unknown-id=warn"},
		{"unknown-id: from the oldest", unknown(func(int) (int, string) { return 1, "" }), ""},
		{"unknown-id: from the oldest, as for a new client", func(e *endpoint) {
			e.resume = func(lastID string, newest int) (int, string) {
				next, _ := resumeWithGap(lastID, newest)
				if lastID == "" || lastID == unknownID {
					next = 1
				}
				return next, ""
			}
		}, ""},
		{"unknown-id: the newest, as for a new client", func(e *endpoint) {
			e.resume = func(lastID string, newest int) (int, string) {
				next, _ := resumeWithGap(lastID, newest)
				if lastID == "" || lastID == unknownID {
					next = newest
				}
				return next, ""
			}
		}, "unknown-id=warn"},
		{"unknown-id: an unnamed event", unknown(func(newest int) (int, string) { return newest + 1, "data: lost\n\n" }), ""},
		{"unknown-id: a gap, and streams end at once", func(e *endpoint) { e.age = time.Millisecond }, "delivery=skip ids=skip resume=skip"},
		{"unknown-id: a greeting to each client", func(e *endpoint) {
			greeted := 0
			e.resume = func(_ string, newest int) (int, string) {
				e.mu.Lock()
				defer e.mu.Unlock()
				greeted++
				return newest + 1, fmt.Sprintf("data: you are client %d\n\n", greeted)
			}
			e.frame = func(n int) string { return fmt.Sprintf("data: %d\n\n", n) }
		}, "ids=warn resume=skip unknown-id=warn"},
		{"unknown-id: a header", func(e *endpoint) {
			unknown(func(newest int) (int, string) { return newest + 1, "" })(e)
			e.header = func(h http.Header, _ *http.Request) { h.Set("Last-Event-ID", "20") }
		}, ""},
		{"unknown-id: the header again", func(e *endpoint) {
			unknown(func(newest int) (int, string) { return newest + 1, "" })(e)
			e.header = func(h http.Header, r *http.Request) { h.Set("Last-Event-ID", r.Header.Get("Last-Event-ID")) }
		}, "unknown-id=warn"},

		{"compression: held back", func(e *endpoint) { e.gzip, e.noFlush = true, true }, "compression=fail"},
		{"compression: held back, in capitals", func(e *endpoint) {
			e.noFlush = true
			e.header = func(h http.Header, r *http.Request) {
				if r.Header.Get("Accept-Encoding") == "gzip" {
					h.Set("Content-Encoding", "GZIP")
				}
			}
		}, "compression=fail"},
		{"compression: flushed", func(e *endpoint) { e.gzip = true }, ""},
		{"compression: forced", func(e *endpoint) {
			e.header = func(h http.Header, _ *http.Request) { h.Set("Content-Encoding", "gzip") }
		}, "compression=warn"},
		{"compression: one that is not decoded", func(e *endpoint) {
			e.header = func(h http.Header, _ *http.Request) { h.Set("Content-Encoding", "br") }
		}, "compression=warn delivery=skip format=skip retry=warn ids=skip resume=skip unknown-id=warn"},

		{"compression: none, by a name that is not registered", header("Content-Encoding", "none"), ""},
		{"compression: gzip in name only", func(e *endpoint) {
			e.before = func(w http.ResponseWriter, r *http.Request) bool {
				w.Header().Set("Content-Type", "text/event-stream")
				w.Header().Set("Cache-Control", "no-cache")
				w.Header().Set("Content-Encoding", "gzip")
				if !isHead(r) {
					_, _ = io.WriteString(w, "retry: 3000\n\ndata: x\n\n")
				}
				return true
			}
		}, "format=fail retry=warn unknown-id=warn compression=warn" + few},
		{"compression: refused", statusIf(500, acceptsGzip), "compression=warn"},
		{"compression: too busy at that moment", statusIf(503, acceptsGzip), "compression=skip"},
		{"compression: all but the first client are refused", func(e *endpoint) {
			statusIf(500, func(r *http.Request) bool {
				e.mu.Lock()
				defer e.mu.Unlock()
				return e.connections > 1 && !isHead(r)
			})(e)
		}, "resume=fail unknown-id=fail compression=skip"},
		{"compression: a page", func(e *endpoint) {
			e.header = func(h http.Header, r *http.Request) {
				if acceptsGzip(r) {
					h.Set("Content-Type", "text/html")
				}
			}
		}, "compression=warn"},
		{"compression: closed", func(e *endpoint) {
			e.before = func(_ http.ResponseWriter, r *http.Request) bool {
				if acceptsGzip(r) {
					panic(http.ErrAbortHandler)
				}
				return false
			}
		}, "compression=warn"},
		{"compression: no head", func(e *endpoint) {
			e.before = func(_ http.ResponseWriter, r *http.Request) bool {
				return acceptsGzip(r) && !pause(r.Context(), time.Hour)
			}
		}, "compression=warn"},
		{"compression: a head alone", func(e *endpoint) {
			e.before = func(w http.ResponseWriter, r *http.Request) bool {
				if acceptsGzip(r) {
					w.Header().Set("Content-Type", "text/event-stream")
					_ = http.NewResponseController(w).Flush()
				}
				return acceptsGzip(r) && !pause(r.Context(), time.Hour)
			}
		}, "compression=warn"},
		{"compression: in name only, to clients that accept gzip", func(e *endpoint) {
			silent(5 * time.Second)(e)
			e.before = func(w http.ResponseWriter, r *http.Request) bool {
				if acceptsGzip(r) {
					w.Header().Set("Content-Type", "text/event-stream")
					w.Header().Set("Content-Encoding", "gzip")
					_, _ = io.WriteString(w, "retry: 3000\n\n")
				}
				return acceptsGzip(r)
			}
		}, "heartbeat=ok compression=warn" + few},
		{"compression: another one", func(e *endpoint) {
			e.header = func(h http.Header, r *http.Request) {
				if acceptsGzip(r) {
					h.Set("Content-Encoding", "br")
				}
			}
		}, "compression=skip"},
		{"compression: the first event is over all limits", func(e *endpoint) {
			e.before = func(w http.ResponseWriter, r *http.Request) bool {
				if acceptsGzip(r) {
					w.Header().Set("Content-Type", "text/event-stream")
					_, _ = fmt.Fprintf(w, "event: %s\ndata: x\n\n", strings.Repeat("x", maxKept+1))
				}
				return acceptsGzip(r)
			}
		}, ""},

		{"methods: HEAD is 405", statusIf(405, isHead), "methods=warn"},
		{"methods: HEAD has another type", func(e *endpoint) {
			e.before = func(w http.ResponseWriter, r *http.Request) bool { return isHead(r) }
		}, "methods=warn"},
		{"methods: no answer to HEAD", func(e *endpoint) {
			e.before = func(_ http.ResponseWriter, r *http.Request) bool { return isHead(r) && !pause(r.Context(), time.Hour) }
		}, "methods=warn"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := goodEndpoint()
			tt.change(e)
			report, took := try(t, e, Options{})
			compare(t, report, tt.want)
			if took > 2*time.Minute {
				t.Errorf("took %v", took)
			}
		})
	}
}
