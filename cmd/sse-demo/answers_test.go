package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/sse-demo/pubsub/redistest"
	"example.com/sse-demo/sse/ssetest"
)

const (
	answerCount  = 50
	answerPieces = 150
	secretKey    = "sk-not-to-be-shown"
)

func answerPiece(prompt string, i int) string { return fmt.Sprintf("%s: %d é\n", prompt, i) }

func answerText(prompt string) string {
	var text strings.Builder
	for i := range answerPieces {
		text.WriteString(answerPiece(prompt, i))
	}
	return text.String()
}

// startUpstream runs a fake language model, which takes about two seconds for an
// answer; for every fifth, none.
func startUpstream(t *testing.T) *httptest.Server {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request struct{ Messages []struct{ Content string } }
		if r.Header.Get("Authorization") != "Bearer "+secretKey || json.NewDecoder(r.Body).Decode(&request) != nil {
			http.Error(w, "unexpected request", http.StatusBadRequest)
			return
		}
		prompt := request.Messages[0].Content
		w.Header().Set("Content-Type", "text/event-stream")
		pause := time.NewTicker(15 * time.Millisecond)
		defer pause.Stop()
		for i := range answerPieces {
			if !strings.HasSuffix(prompt, "0") && !strings.HasSuffix(prompt, "5") {
				select {
				case <-pause.C:
				case <-r.Context().Done():
					return
				}
			}
			piece, _ := json.Marshal(answerPiece(prompt, i))
			_, _ = fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":%s}}]}\n\n", piece)
			_ = http.NewResponseController(w).Flush()
		}
		_, _ = io.WriteString(w, "data: [DONE]\n\n")
	}))
	t.Cleanup(upstream.Close)
	return upstream
}

// TestAnswersOnReplicas: fifty answers at once, each with a client that loses its
// connection every 100 ms and comes back to another replica.
func TestAnswersOnReplicas(t *testing.T) {
	t.Parallel()
	upstream := startUpstream(t)
	redis := redistest.Start(t)
	env := []string{"SSE_ADDR=127.0.0.1:0", "SSE_ANSWER_KEY=" + secretKey + "\n"}
	var replicas []*program
	for range 2 {
		replicas = append(replicas, start(t, env, "--redis-url", redis.URL, "--answer-url", upstream.URL, "--answer-model", "m"))
	}
	var clients sync.WaitGroup
	for i := range answerCount {
		clients.Go(func() {
			prompt := fmt.Sprintf("answer %d", i)
			text, attempts, err := readAnswer(t, replicas, i, prompt)
			if err != nil || text != answerText(prompt) {
				t.Errorf("after %d connections: %v, %q", attempts, err, text)
			}
			if i%5 != 0 && attempts < 3 { // many more on a machine that is not busy
				t.Errorf("only %d connections", attempts)
			}
		})
	}
	clients.Wait()
	for _, p := range replicas {
		if shown := p.stderr.text() + p.get("/health") + p.get("/metrics"); strings.Contains(shown, secretKey) {
			t.Error("the key is shown")
		}
	}
}

// readAnswer starts an answer and reads it on one replica after the other. If a replica
// says that it is busy, because Redis is slow, it tries again.
func readAnswer(t *testing.T, replicas []*program, first int, prompt string) (text string, attempts int, err error) {
	body := fmt.Sprintf(`{"kind":"answer","prompt":%q}`, prompt)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, replicas[first%2].url("/jobs"), strings.NewReader(body))
	if err != nil {
		return "", 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	location, last, giveUp := "", "", time.Now().Add(patience)
	for attempts = 1; ; attempts++ {
		request.Header.Set("Accept", "text/event-stream")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return text, attempts, err
		}
		if attempts == 1 && response.StatusCode == http.StatusServiceUnavailable && time.Now().Before(giveUp) {
			_ = response.Body.Close()
			request.Body, _ = request.GetBody()
			attempts = 0
			continue
		}
		if response.StatusCode != http.StatusOK {
			_ = response.Body.Close()
			return text, attempts, fmt.Errorf("%s", response.Status)
		}
		if attempts == 1 {
			location, last = response.Header.Get("Location"), response.Header.Get("Last-Event-ID")
		}
		more, id, done, err := readTokens(response.Body, 100*time.Millisecond)
		text += more
		if done || err != nil {
			return text, attempts, err
		}
		if id != "" {
			last = id
		}
		request, err = http.NewRequestWithContext(t.Context(), http.MethodGet, replicas[(first+attempts)%2].url(location), nil)
		if err != nil {
			return text, attempts, err
		}
		request.Header.Set("Last-Event-ID", last)
	}
}

// readTokens reads until the time is over or the job is done.
func readTokens(body io.ReadCloser, limit time.Duration) (text, last string, done bool, err error) {
	cut := time.AfterFunc(limit, func() { _ = body.Close() })
	defer cut.Stop()
	defer func() { _ = body.Close() }()
	for events := ssetest.NewReader(body); ; {
		event, err := events.Next()
		if err != nil {
			return text, last, false, nil //nolint:nilerr // it was cut off
		}
		var data struct{ Text, Status, Error string }
		if err := json.Unmarshal([]byte(event.Data), &data); err != nil {
			return text, last, false, err
		}
		if event.Name == "busy" {
			return text, last, false, nil
		}
		last = event.ID
		switch {
		case event.Name == "token":
			text += data.Text
		case event.Name == "done" && data.Status == "succeeded":
			return text, last, true, nil
		default:
			return text, last, false, fmt.Errorf("%s %s", event.Name, event.Data)
		}
	}
}

// modelAPIs is a fake of each model API of docs/answers.md: what its answer is like, and the
// header that has the key.
var modelAPIs = map[string]struct{ body, key, value string }{
	"/v1/chat/completions": {"data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n", "Authorization", "Bearer " + secretKey},
	"/v1/responses": {
		"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hello\"}\n\n" +
			"event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\"}}\n\n", "Authorization", "Bearer " + secretKey,
	},
	"/v1/messages": {
		"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n" +
			"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n", "X-Api-Key", secretKey,
	},
}

// TestAnswersPage starts the service as docs/answers.md says for each model API, but with a
// fake of it, and runs the page's curl lines that ask it something.
func TestAnswersPage(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		api := modelAPIs[r.URL.Path]
		if r.Header.Get(api.key) != api.value {
			http.Error(w, "no key", http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, api.body)
	}))
	t.Cleanup(upstream.Close)
	started, asked := 0, 0
	commands := commandsOf(readFile(t, "docs/answers.md"))
	for _, command := range commands {
		_, args, isStart := strings.Cut(command, "sse-demo --answer-url https://")
		if !isStart {
			_, args, isStart = strings.Cut(command, "sse-demo --answer-url http://")
		}
		if !isStart {
			continue
		}
		started++
		_, args, _ = strings.Cut(args, "/") // after the host
		words := strings.Fields(args)
		p := start(t, []string{"SSE_ADDR=127.0.0.1:0", "SSE_ANSWER_KEY=" + secretKey}, append([]string{"--answer-url", upstream.URL + "/" + words[0]}, words[1:]...)...)
		for _, command := range commands {
			if !strings.Contains(command, `"kind":"answer"`) {
				continue
			}
			asked++
			ssetest.Need(t, "curl", "curl")
			ask := strings.ReplaceAll(command, "localhost:8000", p.addr)
			out, err := exec.CommandContext(t.Context(), "sh", "-c", ask+" -sS").CombinedOutput()
			if err != nil || !strings.Contains(string(out), `"text":"Hello"`) || !strings.Contains(string(out), `"status":"succeeded"`) {
				t.Errorf("%s: %v\n%s", words[0], err, out)
			}
		}
		if strings.Contains(p.stderr.text(), secretKey) {
			t.Error("the key is shown")
		}
	}
	if started != len(modelAPIs) || asked != 2*started {
		t.Errorf("%d services were started, and asked %d times", started, asked)
	}
}

// TestAnswersOfADeadUpstream: the job fails with what to do, and nothing shows the
// key.
func TestAnswersOfADeadUpstream(t *testing.T) {
	t.Parallel()
	upstream := startUpstream(t)
	upstream.Close()
	p := start(t, []string{"SSE_ADDR=127.0.0.1:0", "SSE_ANSWER_KEY=" + secretKey}, "--answer-url", upstream.URL+"/?key="+secretKey, "--log-level", "debug")
	if status, err := p.post("/jobs", `{"kind":"answer","prompt":"Why?","id":"a"}`); status != http.StatusAccepted {
		t.Fatal(status, err)
	}
	text := p.get("/stream/progress?id=a")
	if !strings.Contains(text, `"status":"failed","error":"the upstream cannot be reached (connection refused)`) || !strings.Contains(text, `"tokens":0`) {
		t.Error(text)
	}
	if shown := text + p.stderr.text() + p.get("/health"); strings.Contains(shown, secretKey) {
		t.Error("the key is shown:", shown)
	}
}
