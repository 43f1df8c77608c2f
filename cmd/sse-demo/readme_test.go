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

	"example.com/sse-demo/sse/ssetest"
)

const root = "../.."

var breakTraps = flag.Bool("traps", false, "TestTraps breaks each of the README's traps, in a copy, and expects its test to fail (some minutes)")

func readREADME(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(root + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sources returns the text of all files below dir whose name ends so.
func sources(t *testing.T, dir, end string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ os.DirEntry, err error) error {
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

// TestREADME: every file that the README links to exists, and so does every test
// and benchmark that it names; the handler to be copied is one that is tested.
func TestREADME(t *testing.T) {
	readme := readREADME(t)
	for _, link := range regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(readme, -1) {
		if strings.Contains(link[1], "://") {
			continue
		}
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(link[1]))); err != nil {
			t.Error(err)
		}
	}
	tests := sources(t, ".", "_test.go")
	for _, name := range regexp.MustCompile("`((?:Test|Fuzz)\\w+)`").FindAllStringSubmatch(readme, -1) {
		if !strings.Contains(tests, "func "+name[1]+"(") {
			t.Errorf("there is no %s", name[1])
		}
	}
	for _, command := range regexp.MustCompile("`(go test [^`]+)`").FindAllStringSubmatch(readme, -1) {
		checkGoTest(t, command[1])
	}
	handler := readme[strings.Index(readme, "func events("):]
	handler, _, _ = strings.Cut(handler, "```")
	if n := strings.Count(handler, "\n"); !strings.Contains(sources(t, "pubsub", "example_test.go"), handler) || n > 24 {
		t.Errorf("the handler of %d lines is not that of pubsub/example_test.go", n)
	}
}

// commandsOf returns the commands in the README's blocks.
func commandsOf(readme string) (commands []string) {
	for _, block := range regexp.MustCompile("(?s)```(sh|console)\n(.*?)```").FindAllStringSubmatch(readme, -1) {
		for line := range strings.Lines(block[2]) {
			line, isCommand := strings.CutPrefix(strings.TrimSpace(line), "$ ")
			if (isCommand || block[1] == "sh") && line != "" {
				commands = append(commands, line)
			}
		}
	}
	return commands
}

// TestREADMECommands runs the commands of the README, in its order: each must
// show what it is there for. Those for other machines are only looked at.
func TestREADMECommands(t *testing.T) {
	p := start(t, nil, "--heartbeat", "100ms")
	for _, command := range commandsOf(readREADME(t)) {
		switch {
		case strings.HasPrefix(command, "curl "):
			p.runCurl(command)
		case strings.HasPrefix(command, "go test "):
			checkGoTest(t, command)
		case command == "go run ./cmd/sse-demo": // p is that
		case strings.HasPrefix(command, "docker "): // there may be no daemon; what is built and run is checked elsewhere
			if strings.Contains(command, "deploy/compose.yaml") {
				_ = sources(t, "deploy", "compose.yaml")
			}
		default:
			t.Errorf("nobody runs %q", command)
		}
	}
}

// runCurl runs a command in a shell, with the address of this test, until it has
// shown an event or the whole answer.
func (p *program) runCurl(command string) {
	p.Helper()
	ssetest.Need(p.T, "curl", "curl")
	ctx, cancel := context.WithTimeout(p.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", "exec "+strings.ReplaceAll(command, "localhost:8000", p.addr)+" -sS --fail-with-body")
	out, err := cmd.StdoutPipe()
	if err != nil {
		p.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.Fatal(err)
	}
	var got strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(got.String(), "\ndata: ") && !strings.Contains(got.String(), ": heartbeat") {
		n, err := out.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			if err := cmd.Wait(); err != nil {
				p.Errorf("%s: %v\n%s", command, err, got.String())
			}
			return
		}
	}
	cancel()
	_ = cmd.Wait() // it was killed
}

// checkGoTest checks that a command names packages, tests and benchmarks that are
// there.
func checkGoTest(t *testing.T, command string) {
	t.Helper()
	dir := strings.TrimSuffix(regexp.MustCompile(`\./\S*`).FindString(command), "...")
	tests := sources(t, dir, "_test.go")
	for _, m := range regexp.MustCompile(`-(run|bench) '?([^' ]+)'?`).FindAllStringSubmatch(command, -1) {
		for name := range strings.SplitSeq(strings.TrimSuffix(m[2], "$"), "|") {
			prefix := map[string]string{"run": `func (Test|Fuzz)?`, "bench": `func Benchmark\w*`}[m[1]]
			if name != "^" && !regexp.MustCompile(prefix+name).MatchString(tests) {
				t.Errorf("%s: there is no %s in %s", command, name, dir)
			}
		}
	}
}

// TestTraps breaks the handling of every trap of the README by the command that
// it gives. With -traps the test that it names must then fail.
func TestTraps(t *testing.T) {
	readme := readREADME(t)
	readme = readme[strings.Index(readme, "\n## The traps"):]
	readme = readme[:strings.Index(readme, "\n## Copying")]
	traps := strings.Split(readme, "\n### ")[1:]
	if len(traps) < 20 {
		t.Errorf("%d traps", len(traps))
	}
	for _, trap := range traps {
		title, _, _ := strings.Cut(trap, "\n")
		m := regexp.MustCompile("Test: `(go test [^`]+)`. Break it: `(sed -i .* (\\S+))`").FindStringSubmatch(trap)
		if m == nil {
			t.Errorf("%s: no test, or no way to break it", title)
			continue
		}
		t.Run(title, func(t *testing.T) { breakTrap(t, m[1], m[2], m[3]) })
	}
}

func breakTrap(t *testing.T, test, breakIt, file string) {
	checkGoTest(t, test)
	dir := t.TempDir()
	before, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	if *breakTraps {
		err = exec.CommandContext(t.Context(), "cp", "-r", root+"/.", dir).Run()
	} else if err = os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o700); err == nil {
		err = os.WriteFile(filepath.Join(dir, file), before, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	run := func(command string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
		cmd.Dir = dir
		kill := inGroup(cmd)
		out, err := cmd.CombinedOutput()
		kill() // what a test that ran out of time has left behind
		return string(out), err
	}
	if out, err := run(breakIt); err != nil {
		t.Fatal(err, out)
	}
	after, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil || string(after) == string(before) {
		t.Fatalf("%s changes nothing: %v", breakIt, err)
	}
	if !*breakTraps {
		return
	}
	out, err := run(test + " -timeout 30s")
	if err == nil || !strings.Contains(out, "--- FAIL") && !strings.Contains(out, "panic: test timed out") {
		t.Errorf("%s: it should have failed:\n%s", test, out)
	}
	for line := range strings.Lines(out) {
		if strings.Contains(line, "_test.go:") {
			t.Log(strings.TrimSpace(line))
			break
		}
	}
}
