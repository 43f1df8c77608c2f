package relay

import (
	"cmp"
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
	read: func(name string, data []byte) (s said, err error) {
		var event struct {
			Type  string
			Block json.RawMessage `json:"content_block"`
			Delta json.RawMessage
		}
		var part struct {
			Type    string
			Text    text
			Stop    string                       `json:"stop_reason"`
			Details struct{ Explanation string } `json:"stop_details"`
		}
		err = json.Unmarshal(data, &event)
		switch cmp.Or(event.Type, name) {
		case "content_block_start":
			err = json.Unmarshal(event.Block, &part)
		case "content_block_delta", "message_delta":
			err = json.Unmarshal(event.Delta, &part)
		}
		if part.Type == "text" || part.Type == "text_delta" {
			s.text = part.Text
		}
		s.word, s.why = part.Stop, part.Details.Explanation
		return s, err
	},
}
