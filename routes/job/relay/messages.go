package relay

import (
	"net/http"

	"example.com/sse-demo/routes/job"
)

// messages is Anthropic's Messages. Its text comes in blocks, each of which begins with
// some, mostly none, and goes on with deltas.
var messages = dialect{
	key: "X-Api-Key: ",
	ask: func(header http.Header, question map[string]any, conversation []job.Message) {
		header.Set("Anthropic-Version", "2023-06-01")
		if conversation[0].Role == "system" {
			question["system"], conversation = conversation[0].Content, conversation[1:]
		}
		question["messages"] = conversation
		question["max_tokens"] = 4096 // it must be given, and every model can write as much
	},
	isTyped: true,
	read: func(a *answer, kind string, event any) {
		switch kind {
		case "content_block_start", "content_block_delta":
			a.add(at(event, "content_block"))
			a.add(at(event, "delta"))
		case "message_delta":
			a.why += words(at(event, "delta", "stop_details", "explanation"))
			a.end(words(at(event, "delta", "stop_reason")))
		}
	},
}
