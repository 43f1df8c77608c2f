package job

import (
	"context"
	"fmt"
	"strings"
	"time"
)

const (
	// pieceTime is the time between two pieces of the canned answer, about as a
	// language model writes.
	pieceTime = time.Second / 30
	// quotedRunes of the prompt appear in the canned answer.
	quotedRunes = 80
)

// topics are what the canned answer adds if the prompt contains the word.
var topics = []struct{ word, text string }{
	{"websocket", "Compared with a WebSocket it goes one way only, but it is plain HTTP: proxies, logs, tokens and " +
		"compression work as for any other response, and the browser reconnects without any code of yours. "},
	{"proxy", "A proxy that collects the response before it passes it on is the usual reason for events that come late; " +
		"the header X-Accel-Buffering: no turns that off in nginx. "},
	{"reconnect", "After a disconnect the client waits for as long as the retry field says, and sends the id of the last " +
		"event that it has, so that the server can continue right after it. "},
	{"token", "This answer is itself such a stream: each piece is an event of its own, and a job on the server writes " +
		"them, whether or not somebody is connected. "},
}

// cannedAnswer writes a short explanation of Server-Sent Events, so that answers
// can be tried without a language model.
func cannedAnswer(ctx context.Context, r Request, write func(string) error) error {
	pause := time.NewTicker(pieceTime)
	defer pause.Stop()
	for _, piece := range strings.SplitAfter(explain(r.Prompt()), " ") {
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

func explain(prompt string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "You asked: “%s”. No language model is configured, so this is a canned answer. ", quote(prompt))
	text.WriteString("Server-Sent Events are a response that does not end. The server answers a request with the type " +
		"text/event-stream and then writes events, each a few lines of text and a blank line. A browser reads them with " +
		"EventSource, any other client with an HTTP library. ")
	for _, topic := range topics {
		if strings.Contains(strings.ToLower(prompt), topic.word) {
			text.WriteString(topic.text)
		}
	}
	text.WriteString("An event may have an id. If the connection breaks, the client sends the last id that it has, and the " +
		"server continues after it, so nothing is lost or repeated. Close this page, or cut the cable: the job goes on, " +
		"and when you are back you get the rest of this text, every piece exactly once.")
	return text.String()
}

// quote returns the beginning of the prompt on one line.
func quote(prompt string) string {
	runes := []rune(strings.Join(strings.Fields(prompt), " "))
	if len(runes) > quotedRunes {
		return string(runes[:quotedRunes]) + "…"
	}
	return string(runes)
}
