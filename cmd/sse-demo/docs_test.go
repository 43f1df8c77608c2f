package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

const root = "../.."

const (
	maxREADME  = 10_000 // bytes
	maxDocLine = 160    // characters, tables aside
	screen     = 60     // lines, beyond which a page has a table of contents
)

// pages returns the text of README.md and of the pages in docs/, by their paths in
// the repository.
func pages(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(root + "/docs/*.md")
	if err != nil || len(paths) < 10 {
		t.Fatalf("%q, %v", paths, err)
	}
	texts := map[string]string{}
	for _, path := range append(paths, root+"/README.md") {
		name, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.ToSlash(name)] = readFile(t, name)
	}
	return texts
}

// readFile returns the text of a file of the repository.
func readFile(t *testing.T, name string) string {
	t.Helper()
	return readText(t, filepath.Join(root, filepath.FromSlash(name)))
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

// sources returns the text of all files below dir whose name ends so.
func sources(t *testing.T, dir, end string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(filepath.Join(root, dir), func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "node_modules") {
			return filepath.SkipDir // others write there at the same time
		}
		if err != nil || !strings.HasSuffix(path, end) {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

var (
	codeBlock = regexp.MustCompile("(?ms)^```.*?^```$")
	heading   = regexp.MustCompile(`(?m)^#+ (.*)$`)
	notInSlug = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are the fragments that the headings of a page can be reached by.
func anchors(page string) (all []string) {
	for _, m := range heading.FindAllStringSubmatch(codeBlock.ReplaceAllString(page, ""), -1) {
		slug := notInSlug.ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(slug, " ", "-"))
	}
	return all
}

// TestDocsLinks: every link of a page leads to a file that is there, and to a
// heading of it.
func TestDocsLinks(t *testing.T) {
	texts := pages(t)
	for name, page := range texts {
		for _, m := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(codeBlock.ReplaceAllString(page, ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file, fragment, hasFragment := strings.Cut(m[1], "#")
			target := name
			if file != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(name), file))
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s: %v", name, err)
			} else if hasFragment && !slices.Contains(anchors(texts[target]), fragment) {
				t.Errorf("%s: %s has no heading for #%s", name, target, fragment)
			}
		}
	}
}

// TestDocsAnchors: the code and its findings refer to headings that are there.
func TestDocsAnchors(t *testing.T) {
	texts := pages(t)
	mentioned := regexp.MustCompile(`(docs/\w[\w-]*\.md)(?:#([\w-]+))?`)
	for _, m := range mentioned.FindAllStringSubmatch(sources(t, ".", ".go")+texts["docs/check.md"], -1) {
		page, ok := texts[m[1]]
		if !ok {
			t.Errorf("there is no %s", m[1])
		} else if m[2] != "" && !slices.Contains(anchors(page), m[2]) {
			t.Errorf("%s has no heading for #%s", m[1], m[2])
		}
	}
	traps := anchors(texts["docs/traps.md"])
	table := readFile(t, "cmd/sse-demo/check/report.go")
	rows := regexp.MustCompile(`(?m)^\t\{"[a-z0-9-]+", "([a-z-]+)", judge`).FindAllStringSubmatch(table, -1)
	if len(rows) != 14 {
		t.Errorf("%d checks", len(rows))
	}
	for _, row := range rows {
		if !slices.Contains(traps, row[1]) {
			t.Errorf("docs/traps.md has no heading for #%s", row[1])
		}
	}
}

// TestDocsNames: the tests and examples that a page names are there, and so are the
// files whose paths it gives as code.
func TestDocsNames(t *testing.T) {
	tests := sources(t, ".", "_test.go") + sources(t, "sse/ssetest", ".go")
	texts := pages(t)
	for name, page := range texts {
		for _, m := range regexp.MustCompile("`((?:Test|Fuzz|Benchmark|Example)[A-Z]\\w*)`").FindAllStringSubmatch(page, -1) {
			if !strings.Contains(tests, "func "+m[1]+"(") {
				t.Errorf("%s: there is no %s", name, m[1])
			}
		}
		for _, m := range regexp.MustCompile("`(go test [^`\n]+)`").FindAllStringSubmatch(page, -1) {
			checkGoTest(t, m[1])
		}
		for _, m := range regexp.MustCompile("`((?:cmd|deploy|docs|pubsub|routes|sse|web)/[\\w./-]*)`").FindAllStringSubmatch(page, -1) {
			if strings.Contains(texts["docs/extend.md"], "<!-- new file: "+m[1]+" -->") {
				continue // the reader writes it
			}
			if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestDocsForm: the README is short, no line is long, and a page of more than a
// screen has a table of contents of all its sections.
func TestDocsForm(t *testing.T) {
	for name, page := range pages(t) {
		if name == "README.md" && len(page) > maxREADME {
			t.Errorf("%s has %d bytes, more than %d", name, len(page), maxREADME)
		}
		for line := range strings.Lines(page) {
			if n := utf8.RuneCountInString(line) - 1; n > maxDocLine && !strings.HasPrefix(line, "|") {
				t.Errorf("%s: a line of %d characters: %.60s…", name, n, line)
			}
		}
		if name == "README.md" || strings.Count(page, "\n") < screen {
			continue
		}
		for _, m := range regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(codeBlock.ReplaceAllString(page, ""), -1) {
			if slug := anchors("# " + m[1])[0]; !strings.Contains(page, "\n- ["+m[1]+"](#"+slug+")\n") {
				t.Errorf("%s: its table of contents has no [%s](#%s)", name, m[1], slug)
			}
		}
	}
}

// block is a code block with what its comment says of it.
type block struct{ page, note, language, code string }

// blocks returns the code blocks that have a comment right before them.
func blocks(t *testing.T) (all []block) {
	t.Helper()
	for name, page := range pages(t) {
		for _, m := range regexp.MustCompile("(?s)<!-- ([^\n]*) -->\n\n```(\\w*)\n(.*?)```").FindAllStringSubmatch(page, -1) {
			all = append(all, block{name, m[1], m[2], m[3]})
		}
	}
	return all
}

// TestDocsCode: a block that is taken from a file is in that file, to the letter.
func TestDocsCode(t *testing.T) {
	n := 0
	for _, b := range blocks(t) {
		file, isTaken := strings.CutPrefix(b.note, "from ")
		if !isTaken {
			continue
		}
		n++
		if !slices.ContainsFunc([]string{"", "\t", "\t\t"}, func(indent string) bool {
			return strings.Contains(readFile(t, file), indented(b.code, indent))
		}) {
			t.Errorf("%s: this is not in %s:\n%s", b.page, file, b.code)
		}
	}
	if n < 4 {
		t.Errorf("%d blocks are compared", n)
	}
	handler := regexp.MustCompile("(?s)```go\n(.*?)```").FindStringSubmatch(readFile(t, "README.md"))[1]
	if !strings.Contains(readFile(t, "sse/doc.go"), indented(handler, "//\t")) {
		t.Error("the handler of the README is not in the documentation of package sse")
	}
}

func indented(code, indent string) string {
	var out strings.Builder
	for line := range strings.Lines(code) {
		if line != "\n" {
			out.WriteString(indent)
		}
		out.WriteString(line)
	}
	return out.String()
}
