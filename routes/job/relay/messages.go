package relay

import (
	"net/http"

	"example.com/sse-demo/routes/job"
)

// messages is Anthropic's Messages. Its text comes in blocks, each of which begins with
// some, mostly none, and goes on with deltas.
var messages = dialect{
	key:          "X-Api-Key: ",
	conversation: "messages",
	prepare: func(header http.Header, question map[string]any, conversation []job.Message) {
		header.Set("Anthropic-Version", "2023-06-01")
		question["max_tokens"] = 4096 // it must be given, and every model can write as much
		if conversation[0].Role == "system" {
			question["system"], question["messages"] = conversation[0].Content, conversation[1:]
		}
	},
	isTyped: true,
	read: func(a *answer, kind string, event object) {
		switch kind {
		case "content_block_start":
			a.add(event["content_block"])
		case "content_block_delta":
			a.add(event["delta"])
		case "message_delta":
			delta := decode[object](a, event["delta"])
			a.why += words(decode[object](a, delta["stop_details"])["explanation"])
			a.end(delta["stop_reason"])
		}
	},
}
