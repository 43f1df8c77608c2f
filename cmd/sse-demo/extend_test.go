package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"example.com/sse-demo/sse/ssetest"
)

// extension is a test of what docs/extend.md adds.
const extension = `package main

import "testing"

func TestAddedStream(t *testing.T) {
	p := start(t, nil)
	runCurl(t, "curl localhost:8000/publish --json '{\"channel\":\"news\",\"payload\":\"added\"}'", p.addr)
	p.curl("data: \"added\"", p.url("/stream/news?lastEventId=0-0"))
	p.curl("\"news\":0", p.url("/health"))
}
`

// TestExtend follows docs/extend.md in a copy: the stream is served, described, and
// on the page.
func TestExtend(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds everything anew")
	}
	ssetest.Need(t, "curl", "curl")
	needShell(t)
	dir := t.TempDir()
	copyRepository(t, dir)
	added := 0
	for _, b := range blocks(t) {
		if b.page != "docs/extend.md" {
			continue
		}
		added++
		if path, isNew := strings.CutPrefix(b.note, "new file: "); isNew {
			writeFile(t, filepath.Join(dir, path), b.code)
			continue
		}
		m := regexp.MustCompile(`^add to: (\S+), (after|before): (.*)$`).FindStringSubmatch(b.note)
		if m == nil {
			t.Fatalf("%s: what is to be done with this? %s", b.page, b.note)
		}
		writeFile(t, filepath.Join(dir, m[1]), insert(t, readText(t, filepath.Join(dir, m[1])), b.code, m[2], m[3]))
	}
	if added != 8 {
		t.Errorf("%d of 8 steps", added)
	}
	writeFile(t, filepath.Join(dir, "cmd/sse-demo/added_test.go"), extension)
	for _, command := range []string{
		"gofmt -l routes",
		"go test -vet=off ./routes ./cmd/sse-demo ./web -run 'OpenAPI|TestAddedStream|TestWire'",
	} {
		if out, err := runIn(t.Context(), dir, command); err != nil || strings.HasPrefix(command, "gofmt") && out != "" {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
	}
}

// insert adds code as lines after or before the one line that has this text, as
// far from the margin as that.
func insert(t *testing.T, text, code, where, line string) string {
	t.Helper()
	var out strings.Builder
	found := 0
	for have := range strings.Lines(text) {
		if strings.TrimSpace(have) != line {
			out.WriteString(have)
			continue
		}
		found++
		added := indented(code, have[:strings.Index(have, line)])
		if where == "before" {
			out.WriteString(added + have)
		} else {
			out.WriteString(have + added)
		}
	}
	if found != 1 {
		t.Fatalf("%q is there %d times", line, found)
	}
	return out.String()
}
