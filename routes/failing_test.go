package routes_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"example.com/sse-demo/sse"
)

// failing gives what the source has, and an error.
type failing struct{ sse.Source }

func (f failing) Next(frames [][]byte) ([][]byte, error) {
	frames, _ = f.Source.Next(frames)
	return frames, errors.New("the disk is on fire")
}

// TestFailingSource: the client gets what there was and a clean end, and the
// operator the error.
func TestFailingSource(t *testing.T) {
	config := options()
	config.Serve = func(w http.ResponseWriter, r *http.Request, source sse.Source, o sse.Options) error {
		return sse.Serve(w, r, failing{source}, o)
	}
	h := start(t, config)
	defer h.stop()
	ticks := h.stream("/stream/tick")
	ticks.next()
	ticks.ends()
	var last struct{ Level, Message, Reason, Error, Stream string }
	lines := strings.Split(strings.TrimSpace(h.log.text()), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatal(err)
	}
	if last.Message != "stream ended" || last.Level != "error" || last.Reason != "failed" || last.Error != "the disk is on fire" {
		t.Errorf("%+v", last)
	}
	if _, _, text := h.answer("GET", "/metrics", ""); !strings.Contains(text, `sse_connections_closed_total{reason="failed",stream="tick"} 1`) {
		t.Error("it is not counted")
	}
}
