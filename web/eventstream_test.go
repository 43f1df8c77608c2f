package web_test

import (
	"fmt"
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
	atOnce := fmt.Sprintf("--test-concurrency=%d", len(files)) // they mostly wait
	command := exec.CommandContext(t.Context(), node, append([]string{"--test", "--test-timeout=60000", atOnce}, files...)...)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("node --test: %v\n%s", err, output)
	}
}

// TestEventStreamTypes checks the types of eventstream.js as strictly as those who
// copy it may do, and that eventstream.d.ts has the same.
func TestEventStreamTypes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tsc(t, "-p", "testjs", "--noEmit", "false", "--declaration", "--emitDeclarationOnly", "--outDir", dir)
	made, err := os.ReadFile(filepath.Join(dir, "eventstream.d.ts"))
	if err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile("eventstream.d.ts")
	if err != nil {
		t.Fatal(err)
	}
	if string(made) != string(kept) {
		t.Errorf("eventstream.d.ts differs from the types in eventstream.js, which are:\n%s", made)
	}
}

// TestEventStreamDeclarations compiles a strict TypeScript project that may not read
// JavaScript.
func TestEventStreamDeclarations(t *testing.T) {
	t.Parallel()
	tsc(t, "-p", "testjs/tsconfig.declarations.json")
}

// tsc runs the TypeScript compiler.
func tsc(t *testing.T, args ...string) {
	t.Helper()
	node := ssetest.Need(t, "node", "nodejs")
	const compiler = "testjs/node_modules/typescript/bin/tsc"
	if _, err := os.Stat(compiler); err != nil {
		ssetest.Missing(t, compiler, "npm ci --prefix web/testjs")
	}
	if output, err := exec.CommandContext(t.Context(), node, append([]string{compiler}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("tsc %q: %v\n%s", args, err, output)
	}
}

// TestEventStreamIsShort keeps the module one that is read before it is copied.
func TestEventStreamIsShort(t *testing.T) {
	t.Parallel()
	source, err := web.Files.ReadFile("eventstream.js")
	if err != nil {
		t.Fatal(err)
	}
	const most = 318
	if lines := strings.Count(string(source), "\n"); lines > most {
		t.Errorf("eventstream.js has %d lines, and may have %d", lines, most)
	}
}
