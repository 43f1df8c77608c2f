package relay

import (
	"encoding/json"
	"net/http"

	"example.com/sse-demo/routes/job"
)

// maxTokens is what a request must say; every model can write as much.
const maxTokens = 4096

// messages is Anthropic's Messages. Its text comes in blocks, each of which begins with
// some, mostly none, and goes on with deltas.
var messages = dialect{
	ask: func(question map[string]any, conversation []job.Message) {
		if conversation[0].Role == "system" {
			question["system"], conversation = conversation[0].Content, conversation[1:]
		}
		question["messages"], question["max_tokens"] = conversation, maxTokens
	},
	authorize: func(header http.Header, key string) {
		header.Set("anthropic-version", "2023-06-01")
		if key != "" {
			header.Set("x-api-key", key)
		}
	},
	isTyped: true,
	read: func(a *answer, kind string, data []byte) (err error) {
		var block struct {
			Content text `json:"content_block"`
			Delta   text
		}
		var message struct {
			Delta struct {
				Stop    string                       `json:"stop_reason"`
				Details struct{ Explanation string } `json:"stop_details"`
			}
		}
		switch kind {
		case "content_block_start", "content_block_delta":
			err = json.Unmarshal(data, &block)
			a.text = append(append(a.text, block.Content...), block.Delta...)
		case "message_delta":
			err = json.Unmarshal(data, &message)
			a.why += message.Delta.Details.Explanation
			a.end(message.Delta.Stop)
		}
		return err
	},
}
