package relay

import (
	"cmp"
	"encoding/json"
	"strings"

	"example.com/sse-demo/routes/job"
)

// responses is OpenAI's Responses.
var responses = dialect{
	ask:       func(question map[string]any, conversation []job.Message) { question["input"] = conversation },
	authorize: bearer,
	read: func(name string, data []byte) (s said, err error) {
		var event struct {
			Type     string
			Delta    json.RawMessage
			Response struct {
				Status     string
				Error      json.RawMessage
				Incomplete struct{ Reason string } `json:"incomplete_details"`
			}
		}
		if err := json.Unmarshal(data, &event); err != nil {
			return s, err
		}
		switch kind := cmp.Or(event.Type, name); kind {
		case "response.output_text.delta":
			err = json.Unmarshal(event.Delta, &s.text)
		case "response.refusal.delta":
			err = json.Unmarshal(event.Delta, &s.why)
		case "response.completed", "response.incomplete", "response.failed", "response.cancelled":
			s.word = cmp.Or(event.Response.Incomplete.Reason, event.Response.Status, strings.TrimPrefix(kind, "response."))
			s.why = reason(event.Response.Error)
		}
		return s, err
	},
}
