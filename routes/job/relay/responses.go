package relay

import (
	"cmp"
	"encoding/json"
	"strings"

	"example.com/sse-demo/routes/job"
)

// responses is OpenAI's Responses. A refusal comes in pieces, then as a whole.
var responses = dialect{
	ask:       func(question map[string]any, conversation []job.Message) { question["input"] = conversation },
	authorize: bearer,
	isTyped:   true,
	read: func(a *answer, kind string, data []byte) error {
		var event struct {
			Delta    text
			Refusal  string
			Response struct {
				Status     string
				Error      any
				Incomplete struct{ Reason string } `json:"incomplete_details"`
			}
		}
		err := json.Unmarshal(data, &event)
		switch kind {
		case "response.output_text.delta":
			a.text = append(a.text, event.Delta...)
		case "response.refusal.delta":
			a.why += event.Delta.String()
		case "response.refusal.done":
			a.why = cmp.Or(event.Refusal, a.why)
		case "response.completed", "response.incomplete", "response.failed", "response.cancelled":
			a.why += words(event.Response.Error)
			a.end(cmp.Or(event.Response.Incomplete.Reason, event.Response.Status, strings.TrimPrefix(kind, "response.")))
		default: // its delta may be anything
			return nil
		}
		return err
	},
}
