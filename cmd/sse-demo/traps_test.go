package main

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"example.com/sse-demo/sse/ssetest"
)

var breakTraps = flag.Bool("traps", false, "TestTraps breaks each trap of docs/traps.md in a copy, and expects its test to fail (some minutes)")

// A trap is a section of docs/traps.md.
type trap struct{ title, test, breakIt, file string }

func traps(t *testing.T) (all []trap) {
	t.Helper()
	ways := regexp.MustCompile("(?s)\n- Test: `(go test [^`]+)`\n- Break it:\\s+`(perl -p?n?i -e '.*' (\\S+))`\n")
	for _, section := range strings.Split(readFile(t, "docs/traps.md"), "\n### ")[1:] {
		title, _, _ := strings.Cut(section, "\n")
		m := ways.FindStringSubmatch(section)
		if m == nil || !strings.Contains(section, "\n- Code: [") {
			t.Errorf("%s: no code, no test, or no way to break it", title)
			continue
		}
		all = append(all, trap{title, m[1], m[2], m[3]})
	}
	return all
}

// TestTraps breaks the handling of each trap by the command that the page gives.
// With -traps the test that it names must then fail.
func TestTraps(t *testing.T) {
	needShell(t)
	all := traps(t)
	if len(all) < 40 {
		t.Errorf("%d traps", len(all))
	}
	for _, trap := range all {
		t.Run(trap.title, trap.try)
	}
}

func (r trap) try(t *testing.T) {
	checkGoTest(t, r.test)
	dir := t.TempDir()
	before := readFile(t, r.file)
	if *breakTraps {
		copyRepository(t, dir)
	} else {
		writeFile(t, filepath.Join(dir, r.file), before)
	}
	if out, err := runIn(t.Context(), dir, r.breakIt); err != nil {
		t.Fatal(err, out)
	}
	after, err := os.ReadFile(filepath.Join(dir, r.file))
	if err != nil || string(after) == before {
		t.Fatalf("%s changes nothing: %v", r.breakIt, err)
	}
	if !*breakTraps {
		return
	}
	out, err := runIn(t.Context(), dir, r.test+" -timeout 60s")
	if err == nil || !strings.Contains(out, "--- FAIL") && !strings.Contains(out, "panic: ") {
		t.Errorf("%s: it should have failed:\n%s", r.test, out)
	}
	for line := range strings.Lines(out) {
		if strings.Contains(line, "_test.go:") {
			t.Log(strings.TrimSpace(line))
			break
		}
	}
}

// needShell skips a test if what the commands of the documentation use is missing.
func needShell(t *testing.T) {
	t.Helper()
	for tool, debian := range map[string]string{"sh": "dash", "grep": "grep", "xargs": "findutils", "perl": "perl", "tar": "tar"} {
		ssetest.Need(t, tool, debian)
	}
}

// runIn runs a command in a shell, and ends what it leaves behind. What it builds must
// not take the processor from the tests beside it.
func runIn(ctx context.Context, dir, command string) (string, error) {
	cmd := exec.CommandContext(ctx, "nice", "sh", "-c", command)
	cmd.Dir = dir
	if *breakTraps {
		cmd.Env = append(os.Environ(), "GOFLAGS=-trimpath") // what is built in one copy is not built again in another
	}
	cmd.WaitDelay = 10 * time.Second // for a process that has left the group and keeps its output open
	kill := inGroup(cmd)
	defer kill()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// copyRepository copies what the repository has, without its history.
func copyRepository(t *testing.T, dir string) {
	t.Helper()
	out, err := runIn(t.Context(), root, "tar -c --exclude=./.git . | tar -x -C '"+dir+"'")
	if err != nil {
		t.Fatal(err, out)
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
