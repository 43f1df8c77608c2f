package relay

import (
	"cmp"
	"encoding/json"

	"example.com/sse-demo/routes/job"
)

// chat is OpenAI's chat completions, which most servers speak. Its events have no names.
// Of several choices only the first counts; an event without any says nothing.
var chat = dialect{
	ask:       func(question map[string]any, conversation []job.Message) { question["messages"] = conversation },
	authorize: bearer,
	read: func(name string, data []byte) (s said, err error) {
		var chunk struct {
			Choices []struct {
				Index int
				Delta struct {
					Content text
					Refusal string
				}
				Finish string `json:"finish_reason"`
				Error  json.RawMessage
			}
		}
		if name == "" || name == "message" {
			err = json.Unmarshal(data, &chunk)
		}
		for _, choice := range chunk.Choices {
			if choice.Index == 0 {
				s.text = append(s.text, choice.Delta.Content...)
				s.why += choice.Delta.Refusal + reason(choice.Error)
				s.word = cmp.Or(choice.Finish, s.word)
			}
		}
		return s, err
	},
}
