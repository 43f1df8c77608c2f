package relay

import (
	"cmp"
	"strings"
)

// responses is OpenAI's Responses. Texts and refusals come in pieces, and then as a whole;
// a server that sends no pieces has all of a text there.
var responses = dialect{
	key:          "Authorization: Bearer ",
	conversation: "input",
	isTyped:      true,
	read: func(a *answer, kind string, event object) {
		switch kind {
		case "response.output_text.delta":
			a.inDeltas = a.inDeltas || event["delta"] != nil
			a.add(event["delta"])
		case "response.output_text.done":
			if !a.inDeltas {
				a.add(event["text"])
			}
		case "response.refusal.delta":
			a.why += words(event["delta"])
		case "response.refusal.done":
			a.why = cmp.Or(words(event["refusal"]), a.why)
		case "response.completed", "response.incomplete", "response.failed", "response.cancelled":
			response := decode[object](a, event["response"])
			a.why += words(response["error"])
			a.end(decode[object](a, response["incomplete_details"])["reason"])
			a.end(response["status"])
			a.end(value(`"` + strings.TrimPrefix(kind, "response.") + `"`))
		}
	},
}
