package routes_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/sse-demo/routes/job"
	"example.com/sse-demo/routes/job/relay"
	"example.com/sse-demo/sse/ssetest"
)

type tokenEvent struct {
	ID    string
	Index int
	Text  string
}

// answer collects a text from its tokens, over any number of streams.
type answer struct {
	text   strings.Builder
	tokens int
	last   string // id
	done   jobEvent
}

// add returns what is wrong with the event, if anything.
func (a *answer) add(e ssetest.Event) error {
	a.last = e.ID
	switch e.Name {
	case "token":
		var token tokenEvent
		if err := json.Unmarshal([]byte(e.Data), &token); err != nil || token.Index != a.tokens {
			return fmt.Errorf("token %d: %+v, %w", a.tokens, e, err)
		}
		a.tokens++
		a.text.WriteString(token.Text)
		return nil
	case "done":
		return json.Unmarshal([]byte(e.Data), &a.done)
	default:
		return fmt.Errorf("after %d tokens: %+v", a.tokens, e)
	}
}

// read reads up to so many tokens, or to the end of the job.
func (a *answer) read(s *stream, tokens int) *answer {
	s.h.Helper()
	for a.done.Status == "" && a.tokens < tokens {
		if err := a.add(s.next()); err != nil {
			s.h.Fatal(err)
		}
	}
	return a
}

const toEnd = 1 << 30

// post sends POST /jobs for the job's own stream.
func (h *harness) post(body string, headers ...string) *stream {
	h.Helper()
	response := h.do("POST", "/jobs", body, append(headers, jsonType, "Accept: text/event-stream")...)
	if response.StatusCode != 200 || response.Header.Get("Content-Type") != "text/event-stream" {
		text, _ := io.ReadAll(response.Body)
		h.Fatalf("%s %s", response.Status, text)
	}
	return &stream{h, response, ssetest.NewReader(response.Body)}
}

// TestAnswer: every watcher gets every token, whenever it comes.
func TestAnswer(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		status, header, body := h.answer("POST", "/jobs", `{"kind":"answer","prompt":"Why?","id":"a"}`, jsonType)
		if status != 202 || strings.TrimSpace(body) != `{"id":"a"}` {
			t.Fatal(status, body)
		}
		early, late := h.stream(header.Get("Location")), make(chan *stream, 1)
		time.AfterFunc(2*time.Second, func() { late <- h.stream(header.Get("Location")) })
		first := new(answer).read(early, toEnd)
		early.ends()
		if first.done.Status != "succeeded" || first.done.Tokens != first.tokens || first.tokens < 20 || first.done.ElapsedMs < 3000 {
			t.Errorf("%+v", first.done)
		}
		if !strings.Contains(first.text.String(), "Why?") {
			t.Error("it does not depend on the prompt:", first.text.String())
		}
		for _, s := range []*stream{<-late, h.stream(header.Get("Location"))} {
			if a := new(answer).read(s, toEnd); a.text.String() != first.text.String() {
				t.Errorf("a late watcher has %q, want %q", a.text.String(), first.text.String())
			}
			s.ends()
		}
		if status, _, _ := h.answer("GET", header.Get("Location"), "", "Last-Event-ID: "+first.last); status != 204 {
			t.Error("after the end:", status)
		}
	})
}

// TestPostedStream: POST answers with the stream itself. A client that is cut off
// resumes at Location, also before its first event, and the job goes on.
func TestPostedStream(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		var texts []string
		for _, tokens := range []int{0, 5, toEnd} {
			s := h.post(`{"kind":"answer","prompt":"Why?"}`)
			var a answer
			a.last = s.response.Header.Get("Last-Event-ID")
			a.read(s, tokens)
			s.close()
			synctest.Wait()
			if connections := h.health().Connections["progress"]; connections != 0 {
				t.Error("connections:", connections)
			}
			if a.done.Status == "" {
				<-time.After(time.Second)
				s = h.stream(s.response.Header.Get("Location"), "Last-Event-ID: "+a.last)
				a.read(s, toEnd)
				s.ends()
			}
			texts = append(texts, a.text.String())
		}
		if texts[0] != texts[2] || texts[1] != texts[2] {
			t.Errorf("%q", texts)
		}
		s := h.post(`{"id":"build-1","durationMs":500}`)
		if location := s.response.Header.Get("Location"); location != "/stream/progress?id=build-1" {
			t.Error(location)
		}
		if events, _ := s.watch(); len(events) != 7 || events[6].Status != "succeeded" || events[6].Tokens != 0 {
			t.Errorf("%+v", events)
		}
		s.close()
		if !strings.Contains(h.log.text(), `"stream":"progress"`) {
			t.Error(h.log.text())
		}
	})
}

// TestPostedStreamErrors keep their status, and nothing is started if there is no
// slot for the stream.
func TestPostedStreamErrors(t *testing.T) {
	config := options()
	config.MaxStreams = 1
	bubble(t, config, func(h *harness) {
		accept := "Accept: text/event-stream"
		s := h.post(`{"id":"a"}`)
		_, header, _ := h.answer("POST", "/jobs", `{"id":"b"}`, jsonType, accept)
		if header.Get("Retry-After") == "" || header.Get("Location") != "" {
			t.Error(header)
		}
		h.problem(503, "POST", "/jobs", `{"id":"b"}`, jsonType, accept)
		if h.hasJob("b") {
			t.Error("it was started without a stream")
		}
		s.close()
		synctest.Wait()
		h.problem(409, "POST", "/jobs", `{"id":"a"}`, jsonType, accept)
		h.problem(422, "POST", "/jobs", `{"id":"/"}`, jsonType, accept)
		h.problem(415, "POST", "/jobs", `id=a`, "Content-Type: text/plain", accept)
		h.app.Drain()
		h.problem(503, "POST", "/jobs", `{"id":"c"}`, jsonType, accept)
	})
}

// TestStopAnswer: what was written stays readable for a minute.
func TestStopAnswer(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		s := h.post(`{"kind":"answer","prompt":"Why?","id":"a"}`)
		a := new(answer).read(s, 10)
		if status, _, body := h.answer("DELETE", "/jobs/a", ""); status != 204 {
			t.Fatal(status, body)
		}
		a.read(s, toEnd)
		s.ends()
		if a.done.Status != "cancelled" || a.done.Tokens != 10 {
			t.Errorf("%+v", a.done)
		}
		<-time.After(59 * time.Second)
		s = h.stream("/stream/progress?id=a")
		if again := new(answer).read(s, toEnd); again.text.String() != a.text.String() || again.done != a.done {
			t.Errorf("%+v", again)
		}
		s.ends()
	})
}

// TestReadsStartNothing: neither a HEAD nor a client that resumes an unknown job
// starts one.
func TestReadsStartNothing(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		now := time.Now().UnixMilli()
		for range 10 {
			status, header, _ := h.answer("HEAD", "/stream/progress?id=a", "")
			if status != 200 || header.Get("Content-Type") != "text/event-stream" || header.Get("Last-Event-ID") != "" {
				t.Error(status, header)
			}
			after := fmt.Sprintf("%d-7", now)
			s := h.stream("/stream/progress?id=a", "Last-Event-ID: "+after)
			if e := s.next(); e.Name != "gap" || !strings.Contains(e.Data, after) {
				t.Errorf("%+v", e)
			}
			e := s.next()
			if done := jobEventOf(t, e); e.Name != "done" || done.Status != "failed" || !strings.Contains(done.Error, "start a new one") {
				t.Errorf("%+v", e)
			}
			s.ends()
			if status, _, _ := h.answer("GET", "/stream/progress?id=a", "", "Last-Event-ID: "+e.ID); status != 204 {
				t.Error("after the end:", status)
			}
			if status, _, _ := h.answer("HEAD", "/stream/progress?id=a", "", "Last-Event-ID: "+e.ID); status != 204 {
				t.Error("HEAD after the end:", status)
			}
		}
		if h.hasJob("a") {
			t.Error("a job was started")
		}
		s := h.stream("/stream/progress?id=a", "Last-Event-ID: 99999999999999-0") // of the future
		if e := s.next(); e.Name != "gap" {
			t.Errorf("%+v", e)
		}
		if events, _ := s.watch(); events[len(events)-1].Status != "succeeded" {
			t.Errorf("%+v", events)
		}
	})
}

// TestConversation: the messages of a client reach the work of the job, 100 of them at most.
func TestConversation(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		h.jobs.Kinds["answer"] = job.Kind{Write: func(_ context.Context, r job.Request, write func(string) error) error {
			for _, m := range r.Messages {
				if err := write(m.Role + ": " + m.Content + "\n"); err != nil {
					return err
				}
			}
			return nil
		}}
		many := strings.Repeat(`{"role":"assistant","content":"x"},`, 98)
		for body, want := range map[string]string{
			`"prompt":"Why?"`: "user: Why?\n",
			`"messages":[{"role":"user","content":"Why?"}]`:                                                                                "user: Why?\n",
			`"messages":[{"role":"system","content":"Be brief."},` + many + `{"role":"user","content":"Why?"}]`:                            "system: Be brief.\n" + strings.Repeat("assistant: x\n", 98) + "user: Why?\n",
			`"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":" é\n"},{"role":"user","content":"Why?"}],"id":null`: "user: Hi\nassistant:  é\n\nuser: Why?\n",
		} {
			s := h.post(`{"kind":"answer",` + body + `}`)
			if a := new(answer).read(s, toEnd); a.text.String() != want || a.done.Status != "succeeded" {
				t.Errorf("%s: %q, %+v", body, a.text.String(), a.done)
			}
			s.ends()
		}
	})
}

// TestBadConversations: what is wrong with messages is one error, whatever it is.
func TestBadConversations(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		for _, tt := range []struct{ body, want string }{
			{`{"messages":[{"role":"user","content":"Hi"}]}`, "messages excluded"},
			{`{"kind":"answer","prompt":"x","messages":[{"role":"user","content":"Hi"}]}`, "messages excluded"},
			{`{"kind":"answer","messages":[]}`, "messages min"},
			{`{"kind":"answer","messages":1}`, "messages type"},
			{`{"kind":"answer","messages":["Hi"]}`, "messages type"},
			{`{"kind":"answer","messages":[{"role":"user","content":1}]}`, "messages type"},
			{`{"kind":"answer","messages":[{"role":"user","content":[{"type":"text"}]}]}`, "messages type"},
			{`{"kind":"answer","messages":[{"role":"user"}]}`, "messages conversation"},
			{`{"kind":"answer","messages":[{"role":"user","content":""}]}`, "messages conversation"},
			{`{"kind":"answer","messages":[{"role":"user","content":null}]}`, "messages conversation"},
			{`{"kind":"answer","messages":[null]}`, "messages conversation"},
			{`{"kind":"answer","messages":[{"role":"user","content":"Hi","name":"x"}]}`, "messages conversation"},
			{`{"kind":"answer","messages":[{"Role":"user","content":"Hi"}]}`, "messages conversation"},
			{`{"kind":"answer","messages":[{"role":"tool","content":"Hi"}]}`, "messages conversation"},
			{`{"kind":"answer","messages":[{"role":"assistant","content":"Hi"}]}`, "messages conversation"},
			{`{"kind":"answer","messages":[{"role":"system","content":"Hi"}]}`, "messages conversation"},
			{`{"kind":"answer","messages":[{"role":"user","content":"Hi"},{"role":"system","content":"x"},{"role":"user","content":"Hi"}]}`, "messages conversation"},
			{`{"kind":"answer","messages":[` + strings.Repeat(`{"role":"user","content":"Hi"},`, 100) + `{"role":"user","content":"Hi"}]}`, "messages max"},
		} {
			if got := h.problem(422, "POST", "/jobs", tt.body, jsonType).rules(); got != tt.want {
				t.Errorf("%s: %s, want %s", tt.body, got, tt.want)
			}
		}
	})
}

// TestPollAnswer: a long poll gets all the pieces that are there, however many.
func TestPollAnswer(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		ready := make(chan struct{})
		h.jobs.Kinds["answer"] = job.Kind{Write: func(ctx context.Context, _ job.Request, write func(string) error) error {
			for i := range 1000 {
				if err := write(strconv.Itoa(i) + " "); err != nil {
					return err
				}
			}
			close(ready)
			<-ctx.Done()
			return ctx.Err()
		}}
		h.answer("POST", "/jobs", `{"kind":"answer","prompt":"Why?","id":"a"}`, jsonType)
		<-ready
		synctest.Wait()
		events := h.stream("/stream/progress?id=a&wait=0").all()
		if len(events) != 1000 {
			t.Fatalf("%d events", len(events))
		}
		rest := "/stream/progress?id=a&wait=0&lastEventId=" + events[300].ID
		if n := len(h.stream(rest).all()); n != 699 {
			t.Errorf("%d events after the 301st", n)
		}
		h.answer("DELETE", "/jobs/a", "")
		if n := len(h.stream("/stream/progress?id=a&wait=0").all()); n != 1001 {
			t.Errorf("%d events of a job that has ended", n)
		}
	})
}

// TestManyAnswers: fifty at once in each dialect, each with a client that loses its
// connection every 100 ms.
func TestManyAnswers(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		h.manyAnswers("chat/completions", `{"choices":[{"index":0,"delta":{"content":%s}}]}`, `[DONE]`)
	})
	for path, dialect := range map[string]struct{ piece, end string }{
		"responses": {`{"type":"response.output_text.delta","delta":%s}`, `{"type":"response.completed","response":{"status":"completed"}}`},
		"messages":  {`{"type":"content_block_delta","delta":{"type":"text_delta","text":%s}}`, `{"type":"message_delta","delta":{"stop_reason":"end_turn"}}`},
	} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := start(t, options())
				h.manyAnswers(path, dialect.piece, dialect.end)
				h.stop()
				<-time.After(time.Second)
			})
		})
	}
}

func (h *harness) manyAnswers(path, piece, end string) {
	model := ssetest.NewNetwork()
	server := &http.Server{Handler: writesNumbers(piece, end)}
	var serving, clients sync.WaitGroup
	serving.Go(func() { _ = server.Serve(model) })
	defer serving.Wait()
	defer func() { _ = server.Close() }()
	answers, err := relay.New(relay.Upstream{
		URL:       "http://model.test/v1/" + path,
		Transport: &http.Transport{DialContext: model.Dial, DisableKeepAlives: true},
	})
	if err != nil {
		h.Fatal(err)
	}
	h.jobs.Kinds["answer"] = answers
	for i := range 50 {
		clients.Go(func() {
			s := h.post(fmt.Sprintf(`{"kind":"answer","prompt":"%d"}`, i))
			location := s.response.Header.Get("Location")
			a := answer{last: s.response.Header.Get("Last-Event-ID")}
			connections := 1
			for a.readFor(h.T, s, 100*time.Millisecond) {
				s = h.reconnect(location, a.last)
				connections++
			}
			if want := numbersOf(fmt.Sprint(i)); a.text.String() != want || a.done.Tokens != 100 || a.done.Status != "succeeded" {
				h.Errorf("%q, want %q; %+v", a.text.String(), want, a.done)
			}
			if connections < 10 {
				h.Errorf("only %d connections", connections)
			}
		})
	}
	clients.Wait()
}

// writesNumbers is a model that answers with 100 pieces that depend on the prompt, over a
// second.
func writesNumbers(piece, end string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct{ Messages, Input []job.Message }
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		prompt := slices.Concat(asked.Messages, asked.Input)[0].Content
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 100 {
			select {
			case <-r.Context().Done():
				return
			case <-time.After(10 * time.Millisecond):
			}
			text, _ := json.Marshal(number(prompt, i))
			_, _ = fmt.Fprintf(w, "data: "+piece+"\n\n", text)
			_ = http.NewResponseController(w).Flush()
		}
		_, _ = fmt.Fprintf(w, "data: %s\n\n", end)
	})
}

// readFor reads until the stream is cut off; it returns false at the end of the
// job.
func (a *answer) readFor(t *testing.T, s *stream, limit time.Duration) bool {
	cut := time.AfterFunc(limit, s.close)
	defer cut.Stop()
	defer s.close()
	for a.done.Status == "" {
		e, err := s.Next()
		if err != nil {
			return true
		}
		if err := a.add(e); err != nil {
			t.Error(err)
			return false
		}
	}
	return false
}

func (h *harness) reconnect(location, last string) *stream {
	r, err := http.NewRequestWithContext(h.Context(), http.MethodGet, "http://sse.test"+location, nil)
	if err != nil {
		panic(err)
	}
	r.Header.Set("Last-Event-ID", last)
	response, err := h.client.Do(r)
	if err != nil {
		panic(err)
	}
	return &stream{h, response, ssetest.NewReader(response.Body)}
}

func number(prompt string, i int) string { return fmt.Sprintf("%s/%d é\n", prompt, i) }

func numbersOf(prompt string) string {
	var text strings.Builder
	for i := range 100 {
		text.WriteString(number(prompt, i))
	}
	return text.String()
}
