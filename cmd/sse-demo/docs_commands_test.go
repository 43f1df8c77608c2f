package main

import (
	"context"
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.com/sse-demo/sse/ssetest"
)

// commandsOf returns the commands in the blocks of a page that are for a shell.
func commandsOf(page string) (commands []string) {
	for _, block := range regexp.MustCompile("(?s)```(sh|console)\n(.*?)```").FindAllStringSubmatch(page, -1) {
		command := ""
		for line := range strings.Lines(block[2]) {
			line, isCommand := strings.CutPrefix(line, "$ ")
			if command == "" && block[1] == "console" && !isCommand {
				continue // output
			}
			command += line
			switch {
			case strings.HasSuffix(line, "\\\n"):
				command = strings.TrimSuffix(command, "\\\n")
			case strings.Count(command, "'")%2 == 0:
				if command = strings.TrimSpace(command); command != "" {
					commands = append(commands, command)
				}
				command = ""
			}
		}
	}
	return commands
}

// elsewhere are the pages whose commands other tests run.
var elsewhere = map[string]string{"docs/copy.md": "TestCopyPage"}

// TestDocsCommands runs the commands of the pages, in their order: each must show
// what it is there for. Of those for other machines the files and flags are checked.
func TestDocsCommands(t *testing.T) {
	t.Parallel()
	texts := pages(t)
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if elsewhere[name] != "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			var p *program
			for _, command := range commandsOf(texts[name]) {
				if strings.HasPrefix(command, "curl ") && p == nil {
					p = start(t, nil, "--heartbeat", "100ms")
				}
				checkCommand(t, p, command)
			}
		})
	}
}

func checkCommand(t *testing.T, p *program, command string) {
	t.Helper()
	command = regexp.MustCompile(`^([A-Z_]+=\S+ )+`).ReplaceAllString(command, "") // its environment
	first, rest, _ := strings.Cut(command, " ")
	switch {
	case first == "curl":
		runCurl(t, command, p.addr)
	case strings.HasPrefix(command, "go test "), strings.HasPrefix(command, "taskset -c 1 go test "):
		checkGoTest(t, command)
	case command == "go run ./cmd/sse-demo", command == "go build ./cmd/sse-demo": // the tests do
	case first == "sse-demo":
		checkFlags(t, rest)
	case first == "redis-cli": // TestRights runs it
	case first == "docker": // there may be no daemon; TestImage and TestCompose check what is built and run
		for _, file := range regexp.MustCompile(`-f (\S+)`).FindAllStringSubmatch(rest, -1) {
			readFile(t, file[1])
		}
	default:
		t.Errorf("no test runs %q", command)
	}
}

// checkFlags has the program read a command line, which ends with the help.
func checkFlags(t *testing.T, args string) {
	t.Helper()
	words := strings.Fields(strings.ReplaceAll(args, "'", ""))
	var out, messages strings.Builder
	if err := run(t.Context(), append(words, "--help"), &out, &messages); err != nil {
		t.Errorf("sse-demo %s: %v", args, err)
	}
	for _, word := range words {
		flag, _, _ := strings.Cut(word, "=")
		if strings.HasPrefix(flag, "--") && !strings.Contains(out.String(), flag+"=") && !strings.Contains(out.String(), flag+" ") {
			t.Errorf("sse-demo has no %s", flag)
		}
	}
}

// runCurl runs a command in a shell, with the address of a test, until it has
// shown an event or the whole answer.
func runCurl(t *testing.T, command, addr string) {
	t.Helper()
	ssetest.Need(t, "curl", "curl")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", "exec "+regexp.MustCompile(`localhost:80[08]0`).ReplaceAllString(command, addr)+" -sS --fail-with-body")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(got.String(), "\ndata: ") && !strings.Contains(got.String(), ": heartbeat") {
		n, err := out.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			if err := cmd.Wait(); err != nil {
				t.Errorf("%s: %v\n%s", command, err, got.String())
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
	dirs := regexp.MustCompile(`\./\S*`).FindAllString(command, -1)
	tests := ""
	for _, dir := range dirs {
		tests += sources(t, strings.TrimSuffix(dir, "..."), "_test.go")
	}
	for _, m := range regexp.MustCompile(`-(run|bench) '?([^' ]+)'?`).FindAllStringSubmatch(command, -1) {
		for name := range strings.SplitSeq(strings.TrimSuffix(m[2], "$"), "|") {
			prefix := map[string]string{"run": `func (Test|Fuzz)?`, "bench": `func Benchmark\w*`}[m[1]]
			if name != "^" && name != "." && !regexp.MustCompile(prefix+name).MatchString(tests) {
				t.Errorf("%s: there is no %s in %q", command, name, dirs)
			}
		}
	}
}
