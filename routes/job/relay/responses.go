package relay

import (
	"cmp"
	"strings"
)

// responses is OpenAI's Responses. A refusal comes in pieces, and then as a whole.
var responses = dialect{
	key:          "Authorization: Bearer ",
	conversation: "input",
	isTyped:      true,
	read: func(a *answer, kind string, event value) {
		switch kind {
		case "response.output_text.delta":
			a.add(a.at(event, "delta"))
		case "response.refusal.delta":
			a.why += words(a.at(event, "delta"))
		case "response.refusal.done":
			a.why = cmp.Or(words(a.at(event, "refusal")), a.why)
		case "response.completed", "response.incomplete", "response.failed", "response.cancelled":
			a.why += words(a.at(event, "response", "error"))
			a.end(a.at(event, "response", "incomplete_details", "reason"))
			a.end(a.at(event, "response", "status"))
			a.end(value(`"` + strings.TrimPrefix(kind, "response.") + `"`))
		}
	},
}
