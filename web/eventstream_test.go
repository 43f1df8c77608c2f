package web_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"example.com/sse-demo/sse/ssetest"
	"example.com/sse-demo/web"
)

// TestEventStream runs the tests of eventstream.js that need no browser.
func TestEventStream(t *testing.T) {
	t.Parallel()
	node := ssetest.Need(t, "node", "nodejs")
	files, err := filepath.Glob("testjs/*_test.mjs")
	if err != nil || len(files) == 0 {
		t.Fatal("no tests: ", err)
	}
	command := exec.CommandContext(t.Context(), node, append([]string{"--test", "--test-timeout=60000"}, files...)...)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("node --test: %v\n%s", err, output)
	}
}

// TestEventStreamTypes checks the types of eventstream.js as strictly as those who
// copy it may do.
func TestEventStreamTypes(t *testing.T) {
	t.Parallel()
	node := ssetest.Need(t, "node", "nodejs")
	const tsc = "testjs/node_modules/typescript/bin/tsc"
	if _, err := os.Stat(tsc); err != nil {
		const missing = "TypeScript is missing: npm ci --prefix web/testjs"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	if output, err := exec.CommandContext(t.Context(), node, tsc, "-p", "testjs").CombinedOutput(); err != nil {
		t.Fatalf("tsc: %v\n%s", err, output)
	}
}

// TestEventStreamIsShort keeps the module one that is read before it is copied.
func TestEventStreamIsShort(t *testing.T) {
	t.Parallel()
	source, err := web.Files.ReadFile("eventstream.js")
	if err != nil {
		t.Fatal(err)
	}
	const most = 300
	if lines := strings.Count(string(source), "\n"); lines > most {
		t.Errorf("eventstream.js has %d lines, and may have %d", lines, most)
	}
}
