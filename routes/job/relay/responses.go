package relay

import (
	"cmp"
	"net/http"
	"strings"

	"example.com/sse-demo/routes/job"
)

// responses is OpenAI's Responses. A text comes in pieces and then as a whole, or only as a
// whole, as does a refusal.
var responses = dialect{
	key: "Authorization: Bearer ",
	ask: func(_ http.Header, question map[string]any, conversation []job.Message) {
		question["input"] = conversation
	},
	isTyped: true,
	read: func(a *answer, kind string, event any) {
		switch kind {
		case "response.output_text.delta":
			a.add(at(event, "delta"))
			a.inPieces = true
		case "response.output_text.done":
			if !a.inPieces {
				a.add(at(event, "text"))
			}
		case "response.refusal.delta":
			a.why += words(at(event, "delta"))
		case "response.refusal.done":
			a.why = cmp.Or(words(at(event, "refusal")), a.why)
		case "response.completed", "response.incomplete", "response.failed", "response.cancelled":
			response := at(event, "response")
			a.why += words(at(response, "error"))
			a.end(cmp.Or(words(at(response, "incomplete_details", "reason")), words(at(response, "status")), strings.TrimPrefix(kind, "response.")))
		}
	},
}
