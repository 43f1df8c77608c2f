package job

import (
	"context"
	"time"
)

// A Kind is what the jobs of one kind do: one of the two functions. Each job calls it
// in a new goroutine. It returns soon after ctx is cancelled, and calls report or write
// from one goroutine at a time, and not after it has returned. Clients see the text of
// its error.
type Kind struct {
	// Report does the work and reports its progress, as often as it likes. Clients
	// may give a duration.
	Report func(ctx context.Context, r Request, report func(Progress)) error
	// Write writes a text, piece by piece. Clients must give a prompt or messages.
	// write does not block. It returns an error, to be returned, if the text is too long.
	Write func(ctx context.Context, r Request, write func(piece string) error) error
}

// A Request is what a client wants of a job.
type Request struct {
	Duration time.Duration // 0 if the client gave none
	Messages []Message     // only if the kind writes a text; the last one is the user's
}

// A Message is a part of a conversation. Its role is "system", only of the first one, or
// "user" or "assistant".
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// Ask returns the request of a conversation that begins with this prompt.
func Ask(prompt string) Request { return Request{Messages: []Message{{"user", prompt}}} }

// Prompt is what the user has said last.
func (r Request) Prompt() string {
	if len(r.Messages) == 0 {
		return ""
	}
	return r.Messages[len(r.Messages)-1].Content
}

// Progress is how far a job is. Percent is 0 to 100; one that is lower than an
// earlier one is raised to it.
type Progress struct {
	Percent int    `json:"percent"`
	Stage   string `json:"stage"`
	Message string `json:"message"`
}

// The kinds that every manager has.
const (
	BuildKind  = "build"
	AnswerKind = "answer"
)
