package routes_test

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"example.com/sse-demo/routes"
	"example.com/sse-demo/routes/tail"
)

var update = flag.Bool("update", false, "write the golden streams anew")

// variable is what differs from run to run: delays, and the ids of log lines,
// which name a position in one file.
var variable = regexp.MustCompile(`(?m)^(retry|id): (\d+|\d+-\d+)$`)

// golden compares the first events of a stream, byte for byte, with a file.
func (h *harness) golden(name, path string, events int, mask bool) {
	h.Helper()
	s := h.stream(path)
	defer s.close()
	var text strings.Builder
	buf := make([]byte, 1)
	for blank := 0; blank < events; {
		if _, err := io.ReadFull(s.response.Body, buf); err != nil {
			h.Fatal(err)
		}
		text.Write(buf)
		if strings.HasSuffix(text.String(), "\n\n") {
			blank++
		}
	}
	got := variable.ReplaceAllStringFunc(text.String(), func(field string) string {
		if mask || strings.HasPrefix(field, "retry") {
			return field[:strings.Index(field, ":")] + ": *"
		}
		return field
	})
	file := filepath.Join("..", "testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			h.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		h.Fatal(err)
	}
	if got != string(want) {
		h.Errorf("%s:\n%s\nwant\n%s", path, got, want)
	}
}

func TestGoldenTicks(t *testing.T) {
	bubble(t, options(), func(h *harness) { h.golden("tick.sse", "/stream/tick?symbol=btc&interval=250", 5, false) })
}

func TestGoldenJob(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		h.answer("POST", "/jobs", `{"id":"build-42","durationMs":500}`, jsonType)
		h.golden("progress.sse", "/stream/progress?id=build-42", 7, false)
	})
}

func TestGoldenLog(t *testing.T) {
	config := options()
	config.Logs = []routes.LogFile{{Name: "app", Tail: tail.New("../testdata/app.log", zerolog.Nop())}}
	h := start(t, config)
	defer h.stop()
	h.golden("log.sse", "/stream/log?lines=1000", 11, true)
}
