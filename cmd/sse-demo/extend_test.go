package main

import (
	"encoding/json"
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

// An overlay has files that go sees in place of the repository's.
type overlay struct {
	dir     string
	Replace map[string]string // by absolute paths
}

func (o *overlay) read(t *testing.T, path string) string {
	if changed := filepath.Join(o.dir, path); o.Replace[absolute(t, path)] == changed {
		return readText(t, changed)
	}
	return readFile(t, path)
}

func (o *overlay) write(t *testing.T, path, text string) {
	file := filepath.Join(o.dir, path)
	writeFile(t, file, text)
	o.Replace[absolute(t, path)] = file
}

// absolute is a path in the repository.
func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestExtend follows docs/extend.md: the stream is served, described, and on the page.
func TestExtend(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it builds much anew")
	}
	ssetest.Need(t, "curl", "curl")
	needShell(t)
	o := &overlay{dir: t.TempDir(), Replace: map[string]string{}}
	added := 0
	for _, b := range blocks(t) {
		if b.page != "docs/extend.md" {
			continue
		}
		added++
		if path, isNew := strings.CutPrefix(b.note, "new file: "); isNew {
			o.write(t, path, b.code)
			continue
		}
		m := regexp.MustCompile(`^add to: (\S+), (after|before): (.*)$`).FindStringSubmatch(b.note)
		if m == nil {
			t.Fatalf("%s: what is to be done with this? %s", b.page, b.note)
		}
		o.write(t, m[1], insert(t, o.read(t, m[1]), b.code, m[2], m[3]))
	}
	if added != 8 {
		t.Errorf("%d of 8 steps", added)
	}
	o.write(t, "cmd/sse-demo/added_test.go", extension)
	files, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	replaced := filepath.Join(t.TempDir(), "overlay.json")
	writeFile(t, replaced, string(files))
	if out, err := runIn(t.Context(), o.dir, "gofmt -l ."); err != nil || out != "" {
		t.Errorf("gofmt: %s %v", out, err)
	}
	out, err := runIn(t.Context(), root, "go test -vet=off -overlay '"+replaced+"' -run 'OpenAPI|TestAddedStream|TestWire' ./routes ./cmd/sse-demo ./web")
	if err != nil || strings.Contains(out, "no tests to run") {
		t.Errorf("%v\n%s", err, out)
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
