package relay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/sse-demo/routes/job"
	"example.com/sse-demo/routes/job/relay"
	"example.com/sse-demo/sse/ssetest"
)

const key = "sk-secret/0123456789"

// The dialects, by the ends of their endpoints.
const (
	chat      = "chat/completions"
	responses = "responses"
	messages  = "messages"
)

// ask asks a fake upstream in a bubble, and returns what was written, how it ended
// and how long it took.
func ask(t *testing.T, path string, upstream http.HandlerFunc) (text string, took time.Duration, failed error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		kind, stop := start(t, path, upstream)
		defer stop()
		began := time.Now()
		failed = kind.Write(t.Context(), job.Ask("Why?"), func(piece string) error {
			text += piece
			return nil
		})
		took = time.Since(began)
	})
	return text, took, failed
}

func start(t *testing.T, path string, upstream http.HandlerFunc, changes ...func(*relay.Upstream)) (kind job.Kind, stop func()) {
	t.Helper()
	network := ssetest.NewNetwork()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // only then does net/http notice that the client leaves
		r.Body = io.NopCloser(bytes.NewReader(body))
		upstream(w, r)
	})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(network) })
	u := relay.Upstream{
		URL: "http://upstream.test/v1/" + path + "?api=secret", Model: "m", Key: key,
		Transport: &http.Transport{DialContext: network.Dial, DisableKeepAlives: true, DisableCompression: true},
	}
	for _, change := range changes {
		change(&u)
	}
	kind, err := relay.New(u)
	if err != nil {
		t.Fatal(err)
	}
	return kind, func() { _ = server.Close(); serving.Wait() }
}

// send writes text as it is, as the body of an event stream.
func send(w io.Writer, text string) {
	if w, ok := w.(http.ResponseWriter); ok && w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "text/event-stream")
	}
	_, _ = io.WriteString(w, text)
	if w, ok := w.(http.Flusher); ok {
		w.Flush()
	}
}

func piece(text string) string {
	data, _ := json.Marshal(text)
	return `data: {"choices":[{"index":0,"delta":{"content":` + string(data) + `},"finish_reason":null}]}` + "\n\n"
}

const (
	role = `data: {"choices":[{"index":0,"delta":{"role":"assistant","content":null},"finish_reason":null}]}` + "\n\n"
	stop = `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
	done = "data: [DONE]\n\n"
)

// TestAnswers: whatever form a good answer has, its text arrives.
func TestAnswers(t *testing.T) {
	want := "Hel" + "lo \u00e9\U0001f600" + "\n\"you\""
	whole := role + piece("Hel") + piece("lo \u00e9\U0001f600") + piece("\n\"you\"")
	for name, upstream := range map[string]http.HandlerFunc{
		"plain":     func(w http.ResponseWriter, _ *http.Request) { send(w, whole+stop+done) },
		"no reason": func(w http.ResponseWriter, _ *http.Request) { send(w, whole+done) },
		"no [DONE]": func(w http.ResponseWriter, _ *http.Request) { send(w, whole+stop) },
		"charset": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
			send(w, whole+done)
		},
		"CRLF": func(w http.ResponseWriter, _ *http.Request) { send(w, strings.ReplaceAll(whole+done, "\n", "\r\n")) },
		"no spaces": func(w http.ResponseWriter, _ *http.Request) {
			send(w, strings.ReplaceAll(whole+done, "data: ", "data:"))
		},
		"comments": func(w http.ResponseWriter, _ *http.Request) {
			send(w, ": wait\n\n"+strings.ReplaceAll(whole, "data", ": still here\n\ndata")+done)
		},
		"goes on": func(w http.ResponseWriter, r *http.Request) { send(w, whole+stop); <-r.Context().Done() },
		"usage": func(w http.ResponseWriter, _ *http.Request) {
			send(w, whole+`data: {"choices":[],"usage":{"total_tokens":9}}`+"\n\n"+done)
		},
		"error null": func(w http.ResponseWriter, _ *http.Request) {
			send(w, strings.ReplaceAll(whole, `{"choices"`, `{"error":null,"choices"`)+done)
		},
		"one byte at a time": func(w http.ResponseWriter, _ *http.Request) {
			for _, b := range []byte(whole + done) {
				send(w, string([]byte{b}))
			}
		},
		"last piece with the reason": func(w http.ResponseWriter, _ *http.Request) {
			last := strings.LastIndex(whole, "null")
			send(w, whole[:last]+`"stop"`+whole[last+len("null"):])
		},
		"two choices": func(w http.ResponseWriter, _ *http.Request) {
			other := strings.NewReplacer(`"index":0`, `"index":1`, `"content":"`, `"content":"other `, `null}]`, `"stop"}]`).Replace(whole)
			send(w, other+strings.ReplaceAll(whole, `"choices":[`, `"choices":[{"index":1,"delta":{"content":"x"},"finish_reason":"length"},`)+done)
		},
		"slow": func(w http.ResponseWriter, r *http.Request) {
			for line := range strings.SplitAfterSeq(whole+done, "\n\n") {
				select {
				case <-time.After(relay.DefaultSilence - time.Second):
					send(w, line)
				case <-r.Context().Done():
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			text, _, err := ask(t, chat, upstream)
			if err != nil || text != want {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
}

// TestFailures: what was written is kept, and the error says what to do.
func TestFailures(t *testing.T) {
	begun := role + piece("Hel")
	answers := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { send(w, begun+text) }
	}
	status := func(code int, body string, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
	const html, object = "<html>secret</html>", `{"error":{"message":"no such\n model","code":1}}`
	for name, tt := range map[string]struct {
		upstream http.HandlerFunc
		text     string
		says     string
	}{
		"clean end":    {answers(""), "Hel", "ended its answer without saying that it is complete (it was closed); try again"},
		"cut":          {func(w http.ResponseWriter, _ *http.Request) { send(w, begun); panic(http.ErrAbortHandler) }, "Hel", "ended its answer without saying that it is complete (it was closed); try again"},
		"huge event":   {answers("data: " + strings.Repeat("x", relay.MaxEvent)), "Hel", "or 2 MiB for a part of it"},
		"huge comment": {answers(":" + strings.Repeat("x", relay.MaxEvent)), "Hel", "or 2 MiB for a part of it"},
		"no end":       {endless(begun, ": more\n\n"), "Hel", "more than 32 MiB"},
		"silence":      {func(w http.ResponseWriter, r *http.Request) { send(w, begun); <-r.Context().Done() }, "Hel", "sent nothing for 2m0s; try again"},
		"drip":         {drip, "", "not complete after 10m0s; ask for a shorter one"},
		"no head":      {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "", "sent nothing for 2m0s"},
		"no answer":    {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "", "cannot be reached (it was closed); see whether it runs"},
		"no HTTP": {func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			_, _ = io.WriteString(conn, key+"\r\n\r\n")
			_ = conn.Close()
		}, "", `cannot be reached (malformed HTTP response "[key]")`},
		"empty":            {func(w http.ResponseWriter, _ *http.Request) { send(w, role+stop+done) }, "", "before its first word"},
		"JSON":             {status(200, object, "Content-Type", "application/json"), "", "application/json instead of an event stream, 200 OK: no such model, 1; see whether --answer-url"},
		"HTML":             {status(200, html, "Content-Type", "text/html; charset=utf-8"), "", "text/html instead of an event stream, 200 OK; see whether --answer-url"},
		"204":              {status(204, ""), "", "answers 204 No Content; see whether --answer-url"},
		"400":              {status(400, object), "", "answers 400 Bad Request: no such model, 1; see whether --answer-url, --answer-api and --answer-model"},
		"401":              {status(401, `{"error":{"message":"bad key `+key+`"}}`), "", "answers 401 Unauthorized; set SSE_ANSWER_KEY"},
		"403":              {status(403, html), "", "answers 403 Forbidden; set SSE_ANSWER_KEY"},
		"403 with words":   {status(403, `{"error":{"message":"not in your country"}}`), "", "not in your country"},
		"400, escaped key": {status(400, `{"oops":"`+strings.ReplaceAll(key, "/", `\/`)+`"}`), "", `{"oops":"[key]"}`},
		"408":              {status(408, object), "", "try again later"},
		"negative seconds": {status(503, object, "Retry-After", "-5"), "", "try again later"},
		"400 in text":      {status(400, "too long "+key+"\n", "Content-Type", "text/plain; charset=utf-8"), "", "400 Bad Request: too long [key]; "},
		"404":              {status(404, html), "", "answers 404 Not Found; see whether --answer-url"},
		"429 in seconds":   {status(429, object, "Retry-After", "20"), "", "answers 429 Too Many Requests: no such model, 1; try again in 20 s"},
		"429 on a date":    {status(429, object, "Retry-After", "Sat, 01 Jan 2000 00:01:30 GMT"), "", "try again later"},
		"429":              {status(429, html), "", "try again later"},
		"500":              {status(500, html), "", "answers 500 Internal Server Error; try again later"},
		"503":              {status(503, `{"detail":"loading `+key+`"}`, "Retry-After", "5"), "", "loading [key]; try again in 5 s"},
		"no type":          {status(200, object, "Content-Type", ""), "", "answers something without a Content-Type instead of an event stream, 200 OK"},
		"302 in text":      {status(302, "", "Content-Type", "text/plain"), "", "answers 302 Found; set --answer-url"},
		"error":            {answers(`data: {"error":{"message":"boom","type":"x"}}` + "\n\n"), "Hel", "ended the answer with \"error\": boom, x"},
		"302":              {status(302, "", "Location", "https://user:secret@evil.test/x?secret"), "", "answers 302 Found; set --answer-url to the address of the endpoint itself"},
		"307":              {status(307, "", "Location", "/other"), "", "answers 307 Temporary Redirect; set --answer-url"},
		"hanging error":    {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500); send(w, "x"); <-r.Context().Done() }, "", "answers 500 Internal Server Error: x; try again later"},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			text, took, err := ask(t, chat, func(w http.ResponseWriter, r *http.Request) { asked++; tt.upstream(w, r) })
			if err == nil || !strings.Contains(err.Error(), tt.says) || text != tt.text {
				t.Errorf("%q, %v; want %q, …%s…", text, err, tt.text, tt.says)
			}
			if strings.Contains(fmt.Sprint(err), "secret") {
				t.Error("it has a secret:", err)
			}
			if asked != 1 || took > relay.MaxTime+time.Second {
				t.Error("asked", asked, "times, for", took)
			}
		})
	}
}

func endless(begun, more string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		send(w, begun)
		for block := strings.Repeat(more, 1000); ; {
			if _, err := io.WriteString(w, block); err != nil {
				return
			}
		}
	}
}

// drip sends a comment now and then, and no answer.
func drip(w http.ResponseWriter, r *http.Request) {
	for {
		send(w, ": wait\n\n")
		select {
		case <-time.After(time.Second):
		case <-r.Context().Done():
			return
		}
	}
}

func TestUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kind, stop := start(t, chat, nil)
		stop()
		err := kind.Write(t.Context(), job.Ask("Why?"), nil)
		if err == nil || !strings.Contains(err.Error(), "cannot be reached (connection refused); see whether it runs") || strings.Contains(err.Error(), "secret") {
			t.Error(err)
		}
	})
}

// TestSilence: every byte counts as life, before the head and after it.
func TestSilence(t *testing.T) {
	const silence = 2 * time.Second
	for name, tt := range map[string]struct {
		pause time.Duration // before the head and between two bytes
		says  string
	}{
		"slow":  {silence - time.Millisecond, ""},
		"still": {silence + time.Millisecond, "the upstream sent nothing for 2s; try again"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kind, stop := start(t, chat, func(w http.ResponseWriter, r *http.Request) {
					select {
					case <-time.After(tt.pause):
						send(w, "") // the head
					case <-r.Context().Done():
						return
					}
					for _, b := range []byte(": wait\n\nevent: ping\n\n" + piece("x") + done) {
						select {
						case <-time.After(tt.pause):
							send(w, string(rune(b)))
						case <-r.Context().Done():
							return
						}
					}
				}, func(u *relay.Upstream) { u.Silence = silence })
				defer stop()
				err := kind.Write(t.Context(), job.Ask("Why?"), func(string) error { return nil })
				if (err == nil) != (tt.says == "") || err != nil && err.Error() != tt.says {
					t.Error(err)
				}
			})
		})
	}
}

// TestHalfAPair: the text before the first half of a surrogate pair does not wait for the
// second half.
func TestHalfAPair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := make(chan string, 2)
		kind, stop := start(t, chat, func(w http.ResponseWriter, r *http.Request) {
			send(w, data(chunk(`"content":"ok \ud83d"`, "null")))
			select {
			case <-begun:
				send(w, data(chunk(`"content":"\ude00"`, "null"))+done)
			case <-r.Context().Done():
			}
		})
		defer stop()
		var text string
		err := kind.Write(t.Context(), job.Ask("Why?"), func(piece string) error {
			if text += piece; piece != "" {
				begun <- piece
			}
			return nil
		})
		if err != nil || text != "ok \U0001f600" {
			t.Errorf("%q %v", text, err)
		}
	})
}

// TestLastWords: an upstream that has said that the answer is complete and then keeps its
// connection open does not keep the job.
func TestLastWords(t *testing.T) {
	_, took, err := ask(t, chat, func(w http.ResponseWriter, r *http.Request) {
		send(w, piece("x")+stop)
		drip(w, r)
	})
	if err != nil || took > 5*time.Second {
		t.Error(err, took)
	}
}

// TestEarlyLastWord: text that goes on after a word that means the end is kept.
func TestEarlyLastWord(t *testing.T) {
	text, took, err := ask(t, chat, func(w http.ResponseWriter, r *http.Request) {
		send(w, piece("x")+stop)
		for range 10 {
			select {
			case <-time.After(4 * time.Second):
				send(w, piece("y"))
			case <-r.Context().Done():
			}
		}
		drip(w, r)
	})
	if text != "xyyyyyyyyyy" || err != nil || took != 45*time.Second {
		t.Error(text, err, took)
	}
}

// TestErrorFieldEndsTheJob, also if the upstream then keeps its connection open.
func TestErrorFieldEndsTheJob(t *testing.T) {
	text, took, err := ask(t, chat, func(w http.ResponseWriter, r *http.Request) {
		send(w, piece("x")+"error: overloaded\n\n"+piece("y"))
		<-r.Context().Done()
	})
	if text != "x" || err == nil || !strings.Contains(err.Error(), "overloaded") || took > 0 {
		t.Error(text, err, took)
	}
}

// TestDialectIsChosen by the end of the path, or by name.
func TestDialectIsChosen(t *testing.T) {
	answers := map[string]string{chat: piece("x") + stop, responses: outputText("x") + responded("completed", "null"), messages: textDelta("x") + stopped(`"end_turn"`)}
	for _, tt := range []struct{ path, api, speaks string }{
		{"v1/chat/completions", "auto", chat},
		{"v1/responses", "auto", responses},
		{"responses/?version=1", "", responses},
		{"v1/messages/", "auto", messages},
		{"v1/messages?beta=true", "", messages},
		{"", "auto", chat},
		{"ask", "auto", chat},
		{"v1/messages/batches", "auto", chat},
		{"v1/Messages", "auto", chat},
		{"ask", "messages", messages},
		{"ask", "responses", responses},
		{"v1/messages", "chat", chat},
	} {
		kind, stop := start(t, chat, func(w http.ResponseWriter, _ *http.Request) { send(w, answers[tt.speaks]) }, func(u *relay.Upstream) {
			u.URL, u.API = "http://upstream.test/"+tt.path, tt.api
		})
		if err := kind.Write(t.Context(), job.Ask("Why?"), func(string) error { return nil }); err != nil {
			t.Errorf("%+v: %v", tt, err)
		}
		stop()
	}
}

// TestCancel ends the request at once, in every state.
func TestCancel(t *testing.T) {
	for name, sent := range map[string]string{"before the head": "", "in the middle": piece("x")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan time.Time, 1)
				kind, stop := start(t, chat, func(w http.ResponseWriter, r *http.Request) {
					if sent != "" {
						send(w, sent)
					}
					<-r.Context().Done()
					ended <- time.Now()
				})
				defer stop()
				ctx, cancel := context.WithCancel(t.Context())
				began := time.Now()
				time.AfterFunc(5*time.Second, cancel)
				err := kind.Write(ctx, job.Ask("Why?"), func(string) error { return nil })
				if !errors.Is(err, context.Canceled) || (<-ended).Sub(began) != 5*time.Second {
					t.Error(err, time.Since(began))
				}
			})
		})
	}
}

// TestTextTooLong ends the request, too.
func TestTextTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kind, stop := start(t, chat, endless("", piece("x")))
		defer stop()
		tooLong := errors.New("too long")
		if err := kind.Write(t.Context(), job.Ask("Why?"), func(string) error { return tooLong }); !errors.Is(err, tooLong) {
			t.Error(err)
		}
	})
}

func TestUpstreamIsChecked(t *testing.T) {
	for _, tt := range []struct{ url, key, says string }{
		{"https://host/v1/chat/completions?api=1", key, ""},
		{"http://[::1]:8080/", "", ""},
		{"https://user:secret@host/", "", "SSE_ANSWER_KEY"},
		{"ftp://secret/", "", "https://host"},
		{"secret", "", "https://host"},
		{"https://", "", "https://host"},
		{"https://:80/", "", "https://host"},
		{"https://host:secret/", "", "https://host"},
		{"https://host/\x7fsecret", "", "https://host"},
		{"https://host/", "secret key", "SSE_ANSWER_KEY"},
		{"https://host/", "secret\n", "SSE_ANSWER_KEY"},
	} {
		_, err := relay.New(relay.Upstream{URL: tt.url, Key: tt.key})
		if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%q, %q: %v", tt.url, tt.key, err)
		}
	}
}
