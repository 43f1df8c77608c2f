package routes

import (
	"crypto/rand"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/sse-demo/routes/job"
	"example.com/sse-demo/sse"
)

type jobParams struct {
	Kind       string               `json:"kind"`
	ID         string               `json:"id" validate:"jobid"`
	DurationMs *int                 `json:"durationMs" validate:"omitnil,min=500,max=600000"`
	Prompt     *string              `json:"prompt" validate:"omitnil,min=1,max=8000"`
	Messages   *[]map[string]string `json:"messages" validate:"omitnil,min=1,max=100"` // role and content of each
}

// startJob starts a job. A client that accepts an event stream gets the job's events as
// the answer, any other client its id and Location.
func (s *Server) startJob(c echo.Context) error {
	if err := mayUse(c, progressStream); err != nil {
		return err
	}
	p := jobParams{Kind: job.BuildKind, ID: "job-" + strings.ToLower(rand.Text()[:10])}
	if err := s.bindBody(c, &p); err != nil {
		return err
	}
	if acceptsStream(c.Request()) {
		return s.stream(c, progressStream, nil, func(string) (sse.Source, error) {
			return s.start(c, p)
		})
	}
	watch, err := s.start(c, p)
	if err != nil {
		return err
	}
	watch.Close()
	return c.JSON(http.StatusAccepted, map[string]string{"id": p.ID})
}

// start starts a job and returns its events from the first, to be closed after use.
func (s *Server) start(c echo.Context, p jobParams) (*job.Watch, error) {
	watch, err := s.config.Jobs.Start(c.Request().Context(), p.ID, p.Kind, p.request())
	if err == nil {
		c.Response().Header().Set(echo.HeaderLocation, "/stream/progress?id="+url.QueryEscape(p.ID))
	}
	return watch, err
}

func (p *jobParams) request() (r job.Request) {
	if p.DurationMs != nil {
		r.Duration = time.Duration(*p.DurationMs) * time.Millisecond
	}
	if p.Prompt != nil {
		r.Messages = job.Ask(*p.Prompt).Messages
	}
	if p.Messages != nil {
		for _, m := range *p.Messages {
			r.Messages = append(r.Messages, job.Message{Role: m["role"], Content: m["content"]})
		}
	}
	return r
}

// check returns what is wrong with the fields because of the kind: one that writes a text
// needs a prompt or messages, any other takes a duration.
func (p *jobParams) check(s *Server) (wrong []fieldError) {
	kind, known := s.config.Jobs.Kinds[p.Kind]
	if !known {
		names := strings.Join(slices.Sorted(maps.Keys(s.config.Jobs.Kinds)), ", ")
		return []fieldError{{"kind", "oneof", "kind must be one of " + names}}
	}
	add := func(isWrong bool, field, rule, text string) {
		if isWrong {
			wrong = append(wrong, fieldError{field, rule, field + text})
		}
	}
	writes, hasPrompt, hasMessages := kind.Write != nil, p.Prompt != nil, p.Messages != nil
	add(writes && p.DurationMs != nil, "durationMs", "excluded", " is not for jobs of kind "+p.Kind)
	add(!writes && hasPrompt, "prompt", "excluded", " is not for jobs of kind "+p.Kind)
	add(!writes && hasMessages, "messages", "excluded", " is not for jobs of kind "+p.Kind)
	add(writes && !hasPrompt && !hasMessages, "prompt", "required", " or messages is required for jobs of kind "+p.Kind)
	add(hasPrompt && hasMessages, "messages", "excluded", " take the place of prompt; give one of the two")
	if hasMessages {
		text := wrongMessages(*p.Messages)
		add(text != "", "messages", "conversation", text)
	}
	return wrong
}

// wrongMessages is what is wrong with a conversation; "" if nothing is.
func wrongMessages(messages []map[string]string) string {
	for i, m := range messages {
		role, content := m["role"], m["content"]
		switch {
		case len(m) != 2 || role == "" || content == "":
			return ` must be like {"role":"user","content":"Hello"}`
		case role == "system" && i > 0:
			return " must have the role system only first"
		case role != "system" && role != "user" && role != "assistant":
			return " must have the roles system, user or assistant"
		case i == len(messages)-1 && role != "user":
			return " must end with one of the user"
		}
	}
	return ""
}

// cancelJob cancels a running job.
func (s *Server) cancelJob(c echo.Context) error {
	if err := mayUse(c, progressStream); err != nil {
		return err
	}
	id := strings.TrimPrefix(c.Request().URL.Path, "/jobs/") // c.Param may be as it was sent, like %2D
	if err := s.config.Jobs.Cancel(c.Request().Context(), id); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
