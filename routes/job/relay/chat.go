package relay

import (
	"net/http"

	"example.com/sse-demo/routes/job"
)

// chat is OpenAI's chat completions, which most servers speak. Of several choices only
// the first counts; an event without any says nothing.
var chat = dialect{
	key: "Authorization: Bearer ",
	ask: func(_ http.Header, question map[string]any, conversation []job.Message) {
		question["messages"] = conversation
	},
	read: func(a *answer, _ string, event any) {
		choices, isList := at(event, "choices").([]any)
		if !isList && isSet(at(event, "choices")) {
			a.fail("its choices are no list")
		}
		for _, choice := range choices {
			if isSet(at(choice, "index")) {
				continue
			}
			a.add(at(choice, "delta", "content"))
			a.why += words(at(choice, "delta", "refusal"))
			a.end(words(at(choice, "finish_reason")))
			if failure := at(choice, "error"); isSet(failure) {
				a.fail(words(failure))
			}
		}
	},
}
