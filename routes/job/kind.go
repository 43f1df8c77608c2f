package job

import (
	"cmp"
	"context"
	"fmt"
	"strings"
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

// buildStep is the shortest time between two reports. There are 100 at most.
const buildStep = 100 * time.Millisecond

// build is a demonstration: it takes the given time and does nothing else.
func build(ctx context.Context, r Request, report func(Progress)) error {
	duration := cmp.Or(r.Duration, 12*time.Second)
	stages := []string{"checkout", "build", "test", "package", "deploy"}
	report(Progress{Stage: "started", Message: "the job has started"})
	start, steps := time.Now(), max(1, min(duration/buildStep, 100))
	for step := time.Duration(1); ; step++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Until(start.Add(duration * step / steps))):
		}
		if step >= steps {
			report(Progress{Percent: 100, Stage: "deploy", Message: "all done"})
			return nil
		}
		percent := int(100 * step / steps)
		stage := percent * len(stages) / 100
		message := fmt.Sprintf("%s, stage %d of %d", stages[stage], stage+1, len(stages))
		report(Progress{Percent: percent, Stage: stages[stage], Message: message})
	}
}

// pieceTime is the time between two pieces of the canned answer, about as a language
// model writes.
const pieceTime = time.Second / 30

const canned = "You asked: “%.80s”. No language model is configured, so this is a canned answer. " +
	"Server-Sent Events are a response that does not end. The server answers a request with the type " +
	"text/event-stream and then writes events, each a few lines of text and a blank line. A browser reads them with " +
	"EventSource, any other client with an HTTP library. An event may have an id. If the connection breaks, the client " +
	"sends the last id that it has, and the server continues after it, so nothing is lost or repeated. Close this page, " +
	"or cut the cable: the job goes on, and when you are back you get the rest of this text, every piece exactly once."

// cannedAnswer writes a short explanation of Server-Sent Events, so that answers
// can be tried without a language model.
func cannedAnswer(ctx context.Context, r Request, write func(string) error) error {
	pause := time.NewTicker(pieceTime)
	defer pause.Stop()
	prompt := strings.Join(strings.Fields(r.Prompt()), " ")
	for _, piece := range strings.SplitAfter(fmt.Sprintf(canned, prompt), " ") {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-pause.C:
		}
		if err := write(piece); err != nil {
			return err
		}
	}
	return nil
}
