package relay

import (
	"encoding/json"

	"example.com/sse-demo/routes/job"
)

// chat is OpenAI's chat completions, which most servers speak. Of several choices only
// the first counts; an event without any says nothing.
var chat = dialect{
	ask:       func(question map[string]any, conversation []job.Message) { question["messages"] = conversation },
	authorize: bearer,
	read: func(a *answer, _ string, data []byte) error {
		var chunk struct {
			Choices []struct {
				Index int
				Delta struct {
					Content text
					Refusal string
				}
				Finish string `json:"finish_reason"`
				Error  any
			}
		}
		err := json.Unmarshal(data, &chunk)
		for _, choice := range chunk.Choices {
			if choice.Index == 0 {
				a.text = append(a.text, choice.Delta.Content...)
				a.why += choice.Delta.Refusal
				if isSet(choice.Error) {
					a.why, choice.Finish = words(choice.Error), "error"
				}
				a.end(choice.Finish)
			}
		}
		return err
	},
}
