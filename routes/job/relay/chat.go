package relay

import "encoding/json"

// chat is OpenAI's chat completions, which most servers speak. Of several choices only
// the first counts; an event without any says nothing.
var chat = dialect{
	key:          "Authorization: Bearer ",
	conversation: "messages",
	read: func(a *answer, _ string, event value) {
		var choices []value
		if list := a.at(event, "choices"); list != nil && json.Unmarshal(list, &choices) != nil {
			a.fail(malformed + string(event))
		}
		for _, choice := range choices {
			if a.at(choice, "index") != nil {
				continue
			}
			a.add(a.at(choice, "delta", "content"))
			a.why += words(a.at(choice, "delta", "refusal"))
			a.end(a.at(choice, "finish_reason"))
			if failure := a.at(choice, "error"); failure != nil {
				a.fail(words(failure))
			}
		}
	},
}
