package check

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden transcripts, and those of docs/check.md, anew")

// TestTranscripts compares what is printed for a good and for a bad endpoint with
// testdata, and with docs/check.md, which shows both.
func TestTranscripts(t *testing.T) {
	good, bad := goodEndpoint(), goodEndpoint()
	good.header = func(h http.Header, _ *http.Request) { h.Set("Access-Control-Allow-Origin", "https://app.example.com") }
	bad.interval, bad.burst, bad.events = 700*time.Millisecond, 4, 45
	bad.header = func(h http.Header, _ *http.Request) { h.Del("Cache-Control") }
	bad.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Last-Event-ID") == unknownID {
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
		return false
	}
	bad.heartbeat, bad.gzip, bad.noFlush = 0, true, true
	bad.retry = func(int) string { return "retry: 3000\n\n" }
	bad.resume = func(_ string, newest int) (int, string) { return newest + 1, "" }
	for name, e := range map[string]*endpoint{"good": good, "bad": bad} {
		url := "http://" + name + ".example/events"
		report, _ := try(t, e, Options{URL: url, Origin: new("https://app.example.com")})
		var text strings.Builder
		if err := report.write(&text, false); err != nil {
			t.Fatal(err)
		}
		transcript := fmt.Sprintf("$ sse-demo check --origin https://app.example.com %s\n%s", url, wrap(text.String()))
		golden(t, filepath.Join("testdata", name+".txt"), transcript)
		inPage(t, name, transcript)
	}
}

// wrap breaks the lines, as a terminal does, but between words.
func wrap(text string) string {
	const width = 110
	indent := strings.Repeat(" ", len("skip  unknown-id   "))
	var out strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		for len(line) > width {
			cut := strings.LastIndexByte(line[:width], ' ')
			out.WriteString(line[:cut] + "\n")
			line = indent + line[cut+1:]
		}
		out.WriteString(line + "\n")
	}
	return out.String()
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s (-update writes it anew):\n%s\nwant\n%s", file, got, want)
	}
}

// inPage compares the block of docs/check.md after the comment that names it.
func inPage(t *testing.T, name, want string) {
	t.Helper()
	const file = "../../../docs/check.md"
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	begin := "<!-- transcript: " + name + " -->\n\n```\n"
	before, rest, ok := strings.Cut(string(page), begin)
	got, after, closed := strings.Cut(rest, "```\n")
	if !ok || !closed {
		t.Fatalf("%s has no transcript %s", file, name)
	}
	if *update {
		if err := os.WriteFile(file, []byte(before+begin+want+"```\n"+after), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != want {
		t.Errorf("%s shows another transcript of %s (-update writes it anew)", file, name)
	}
}

// TestPage: the page names every check, and its lines are short enough.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/check.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range checks {
		if !strings.Contains(string(page), "| `"+c.name+"` |") {
			t.Errorf("docs/check.md has no row for %s", c.name)
		}
	}
	for line := range strings.Lines(string(page)) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 120 {
			t.Errorf("a line of %d characters: %s", n, line)
		}
	}
}
