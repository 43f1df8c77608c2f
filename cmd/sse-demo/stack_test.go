//go:build !race

package main

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"

	"example.com/sse-demo/sse"
)

// TestStackOfAStream: what net/http and sse.Serve need for a stream fits into a stack
// of 8 kB. With one frame more, even of a hook that is called before, each stream
// would have one of 16 kB. The race detector needs more.
func TestStackOfAStream(t *testing.T) {
	const (
		handler = 8 << 10
		reader  = 4 << 10 // of net/http, which waits for the end of the connection
		input   = 2 << 10 // watchInput, which waits for the reader
		job     = 8 << 10 // its work, which encodes and publishes reports; at most 256 at once
	)
	cert, key := certificate(t)
	https := []string{"--tls-cert", cert, "--tls-key", key}
	for name, tt := range map[string]struct {
		flags          []string
		isHTTP2        bool
		method, target string
		most           float64 // bytes of all stacks, for a stream
	}{
		"event loop":    {nil, false, http.MethodGet, "/stream/channel?name=a&replay=1", 0},
		"HTTP/2":        {nil, true, http.MethodGet, "/stream/channel?name=a&replay=1", handler},
		"TLS, tick":     {https, false, http.MethodGet, "/stream/tick", handler + reader + input},
		"TLS, log":      {https, false, http.MethodGet, "/stream/log", handler + reader + input},
		"TLS, progress": {https, false, http.MethodGet, "/stream/progress?id=a", handler + reader + input},
		"TLS, channel":  {https, false, http.MethodGet, "/stream/channel?name=a&replay=1", handler + reader + input},
		"TLS, jobs":     {https, false, http.MethodPost, "/jobs", handler + reader + input + job},
	} {
		t.Run(name, func(t *testing.T) {
			// The collector shrinks stacks that were larger for a moment.
			p := start(t, []string{"GOGC=5"}, append(tt.flags, "--addr", "127.0.0.1:0")...)
			url := p.url("")
			if tt.flags != nil {
				url = "https://" + p.addr
			}
			client := clientOf(t, tt.isHTTP2, trusting(t, cert))
			if status, _ := send(t, client, http.MethodPost, url+"/publish", `{"channel":"a","payload":1}`); status != http.StatusOK {
				t.Fatal(status)
			}
			stacks := func() float64 {
				_, body := send(t, client, http.MethodGet, url+"/metrics", "")
				text, err := io.ReadAll(body)
				if err != nil {
					t.Fatal(err)
				}
				return valueIn(t, string(text), "go_memstats_stack_inuse_bytes")
			}
			before := stacks()
			const streams = 200
			for range streams {
				_, body := send(t, client, tt.method, url+tt.target, `{"durationMs":600000}`)
				if e, err := sse.NewReader(body).Next(); err != nil || e.Name == "busy" {
					t.Fatal(e, err)
				}
			}
			const slack = 2 << 10 // of pages that are not full, and of the service itself
			if each := (stacks() - before) / streams; each > tt.most+slack {
				t.Errorf("%.0f bytes of stacks for a stream", each)
			}
		})
	}
}

func clientOf(t *testing.T, isHTTP2 bool, config *tls.Config) *http.Client {
	transport := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: config}
	transport.Protocols.SetHTTP1(!isHTTP2)
	transport.Protocols.SetUnencryptedHTTP2(isHTTP2)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// send sends JSON, for whatever answer.
func send(t *testing.T, client *http.Client, method, url, body string) (int, io.Reader) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", sse.MediaType)
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response.StatusCode, response.Body
}
