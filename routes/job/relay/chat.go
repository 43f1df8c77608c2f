package relay

// chat is OpenAI's chat completions, which most servers speak. Of several choices only
// the first counts; an event without any has no text.
var chat = dialect{
	key:          "Authorization: Bearer ",
	conversation: "messages",
	read: func(a *answer, _ string, event object) {
		for _, choice := range decode[[]object](a, event["choices"]) {
			if isSet(choice["index"]) {
				continue
			}
			delta := decode[object](a, choice["delta"])
			a.add(delta["content"])
			a.why += words(delta["refusal"])
			a.end(choice["finish_reason"])
			if isSet(choice["error"]) {
				a.fail(words(choice["error"]))
			}
		}
	},
}
