package relay

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"example.com/sse-demo/routes/job"
	"example.com/sse-demo/sse"
)

// What an upstream may take.
const (
	DefaultSilence = 2 * time.Minute  // without a byte, from the request on; comments count
	MaxTime        = 10 * time.Minute // for an answer, from its head on
	MaxEvent       = 2 << 20          // bytes of one event; the last one of a response has all of its text again
	MaxResponse    = 32 << 20         // bytes of an answer with everything around its text

	// lastWords is how long the stream may go on after the word with which the answer
	// ends. Some servers report an error only then.
	lastWords = 5 * time.Second
)

// New returns the kind of jobs that relay the answers of the upstream. It fails if
// the upstream is not valid.
func New(u Upstream) (job.Kind, error) {
	c, err := newClient(u)
	if err != nil {
		return job.Kind{}, err
	}
	return job.Kind{Write: c.answer}, nil
}

// answer writes the answer to a conversation, piece by piece. It returns nil only if
// the upstream has said that the answer is complete.
func (c *client) answer(ctx context.Context, r job.Request, write func(piece string) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := fmt.Errorf("the upstream sent nothing for %v; try again", c.Silence)
	silence := time.AfterFunc(c.Silence, func() { cancel(silent) })
	defer silence.Stop()
	body, err := c.open(ctx, r.Messages)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	overdue := time.AfterFunc(MaxTime, func() { cancel(errOverdue) })
	defer overdue.Stop()

	a := answer{client: c, write: write}
	events := newReader(body, func() {
		if a.word == "" {
			silence.Reset(c.Silence)
		}
	})
	events.OnFault = func(f sse.Fault) {
		if err := c.readField(f.Text); err != nil {
			a.failure = err
			cancel(err) // nothing more may come
		}
	}
	for {
		event, err := events.Next()
		switch {
		case a.failure != nil:
			return a.failure
		case err != nil && a.word == "" && a.why == "":
			return c.explain(ctx, err)
		case err != nil || isDone(event): // after its last word it may close as it likes
			return a.judge()
		}
		said, err := c.read(event)
		if err == nil {
			err = a.add(said)
		}
		if err != nil {
			return err
		}
		if said.word != "" {
			silence.Reset(min(lastWords, c.Silence))
		}
	}
}

var errOverdue = fmt.Errorf("the answer was not complete after %v; ask for a shorter one", MaxTime)

// newReader returns the events of a body. The last one needs no blank line.
func newReader(body io.ReadCloser, alive onWrite) *sse.Reader {
	bounded := http.MaxBytesReader(nil, body, MaxResponse)
	events := sse.NewReader(io.TeeReader(io.MultiReader(bounded, strings.NewReader("\n\n")), alive))
	events.MaxEvent = MaxEvent
	return events
}

// onWrite is called whenever something has come.
type onWrite func()

func (f onWrite) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}

// An answer is what the upstream has said so far.
type answer struct {
	client  *client
	write   func(piece string) error
	half    []byte // of a surrogate pair, at the end of the last piece
	begun   bool
	word    string // with which the answer ends
	why     string // it ends so, or what the model refuses
	failure error  // that no event has reported
}

// complete are the words that mean that an answer is complete. Any other word means that
// it is not.
var complete = []string{"stop", "eos", "end_turn", "stop_sequence", "completed"}

// judge returns nil if the answer is complete. An answer without a word, which ends with
// [DONE], is complete, too.
func (a *answer) judge() error {
	switch {
	case a.word != "" && !slices.Contains(complete, a.word):
		why := cmp.Or(a.why, "it may be cut off; ask for a shorter one, or try again")
		return fmt.Errorf("the upstream ended the answer with %q: %s", a.client.quote(a.word), a.client.quote(why))
	case a.why != "":
		return fmt.Errorf("the model refuses to answer: %s", a.client.quote(a.why))
	case !a.begun:
		return errors.New("the upstream ended the answer before its first word; try again, or ask in other words")
	default:
		return nil
	}
}

// add writes the pieces, and keeps what is said about the end.
func (a *answer) add(s said) error {
	for _, raw := range s.text {
		piece := a.join(raw)
		if err := a.write(piece); err != nil {
			return err
		}
		a.begun = a.begun || piece != ""
	}
	a.why += s.why
	if a.word == "" || slices.Contains(complete, a.word) {
		a.word = cmp.Or(s.word, a.word)
	}
	return nil
}

// endsInHalf finds the first half of a surrogate pair at the end of a JSON string.
var endsInHalf = regexp.MustCompile(`^"(?:[^"\\]|\\.)*?(\\u[dD][89abAB][0-9a-fA-F]{2})"$`)

// join decodes a piece. The first half of a surrogate pair waits for the next piece.
func (a *answer) join(raw json.RawMessage) (piece string) {
	if len(raw) > len(`""`) {
		raw = slices.Concat(raw[:1], a.half, raw[1:])
		a.half = nil
	}
	if at := endsInHalf.FindSubmatchIndex(raw); at != nil {
		a.half = slices.Clone(raw[at[2]:at[3]])
		raw = slices.Concat(raw[:at[2]], raw[at[3]:])
	}
	_ = json.Unmarshal(raw, &piece) // text has tried
	return piece
}

// isDone: every dialect may end so.
func isDone(e sse.Event) bool { return string(bytes.TrimSpace(e.Data)) == "[DONE]" }
