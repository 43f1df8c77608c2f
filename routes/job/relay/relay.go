package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"example.com/sse-demo/routes/job"
	"example.com/sse-demo/sse"
)

// What an upstream may take.
const (
	MaxTime     = 10 * time.Minute // for an answer
	MaxSilence  = time.Minute      // without a byte, from the request on; comments count
	MaxEvent    = 64 << 10         // bytes of one event
	MaxResponse = 32 << 20         // bytes of an answer with everything around its text
)

// New returns the kind of jobs that relay the answers of the upstream. It fails if
// the upstream is not valid.
func New(u Upstream) (job.Kind, error) {
	if err := u.check(); err != nil {
		return job.Kind{}, err
	}
	client := newClient(u)
	return job.Kind{Write: client.answer}, nil
}

// answer writes the answer to the prompt, piece by piece. It returns nil only if
// the upstream has said that the answer is complete.
func (c *client) answer(ctx context.Context, r job.Request, write func(piece string) error) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	overdue := time.AfterFunc(MaxTime, func() { end(errOverdue) })
	defer overdue.Stop()
	silence := time.AfterFunc(MaxSilence, func() { end(errSilent) })
	defer silence.Stop()

	body, err := c.open(ctx, r.Prompt)
	if err != nil {
		return c.explain(ctx, err)
	}
	defer func() { _ = body.Close() }()
	events := sse.NewReader(&limited{in: body, onRead: func() { silence.Reset(MaxSilence) }})
	events.MaxEvent = MaxEvent
	for empty := true; ; {
		event, err := events.Next()
		if err != nil {
			return c.explain(ctx, err)
		}
		piece, finish, err := c.read(event)
		if err != nil {
			return err
		}
		if piece != "" {
			empty = false
			if err := write(piece); err != nil {
				return err
			}
		}
		switch {
		case finish == "": // there is more
		case incomplete[finish] != nil:
			return incomplete[finish]
		case empty:
			return errEmpty
		default:
			return nil
		}
	}
}

// A chunk is the data of an event of the upstream.
type chunk struct {
	Choices []struct {
		Index int `json:"index"`
		Delta struct {
			Content string `json:"content"` // or null
		} `json:"delta"`
		FinishReason string `json:"finish_reason"` // or null
	} `json:"choices"`
	Error json.RawMessage `json:"error"`
}

// read returns the piece of the answer that an event carries, if any, and why the
// answer ends with it, if it does. Of several choices only the first counts; an
// event without choices, such as the one with the usage, carries nothing.
func (c *client) read(event sse.Event) (piece, finish string, err error) {
	data := bytes.TrimSpace(event.Data)
	if string(data) == "[DONE]" {
		return "", "stop", nil
	}
	var parsed chunk
	if err := json.Unmarshal(data, &parsed); err != nil {
		return "", "", fmt.Errorf("the upstream sent an event that is no part of an answer: %s", c.quote(string(data)))
	}
	if event.Name == "error" || len(parsed.Error) > 0 && string(parsed.Error) != "null" {
		return "", "", fmt.Errorf("the upstream failed in the middle of the answer: %s; try again", c.message(data))
	}
	for _, choice := range parsed.Choices {
		if choice.Index == 0 {
			piece += choice.Delta.Content
			finish = choice.FinishReason
		}
	}
	return piece, finish, nil
}

// A limited reads up to MaxResponse bytes, and calls onRead whenever some have come.
type limited struct {
	in     io.Reader
	bytes  int
	onRead func()
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.in.Read(p)
	if n > 0 {
		l.onRead()
	}
	l.bytes += n
	if l.bytes > MaxResponse {
		return n, errTooMuch
	}
	return n, err
}

// Why an answer ends before it is complete.
var (
	errSilent  = fmt.Errorf("the upstream sent nothing for %v; try again, or see whether it is overloaded", MaxSilence)
	errOverdue = fmt.Errorf("the answer was not complete after %v; ask for a shorter one", MaxTime)
	errTooMuch = fmt.Errorf("the upstream sent more than %d MiB for one answer", MaxResponse>>20)
	errEmpty   = errors.New("the upstream ended the answer before its first word; try again, or ask in other words")
)

// incomplete are the reasons to finish that leave an answer incomplete. All others
// mean that it is whole.
var incomplete = map[string]error{
	"length":         errors.New("the answer is cut off at the model's limit of tokens; ask for a shorter one"),
	"content_filter": errors.New("a content filter of the upstream has stopped the answer; ask in other words"),
	"tool_calls":     errors.New("the model wants to call a tool, and there is none; ask in other words"),
	"function_call":  errors.New("the model wants to call a function, and there is none; ask in other words"),
	"error":          errors.New("the upstream failed in the middle of the answer; try again"),
}
