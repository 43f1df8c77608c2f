package relay_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"example.com/sse-demo/routes/job"
	"example.com/sse-demo/routes/job/relay"
)

// TestDocs: docs/answers.md shows the code that runs, and the limits that hold.
func TestDocs(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	docs, source := read("../../../docs/answers.md"), read("relay.go")
	const head = "func (u *Upstream) answer("
	_, code, _ := strings.Cut(source, head)
	code, _, _ = strings.Cut(code, "\n}\n")
	if !strings.Contains(docs, "```go\n"+head+code+"\n}\n```\n") {
		t.Error("the code in docs/answers.md is not that of relay.go")
	}
	for _, want := range []string{
		fmt.Sprintf("| %d |", job.MaxRunning),
		fmt.Sprintf("| %d pieces, %d KiB |", job.MaxPieces, job.MaxText>>10),
		fmt.Sprintf("| %.0f minutes |", relay.MaxTime.Minutes()),
		fmt.Sprintf("| %.0f minutes, `--answer-timeout` |", relay.DefaultSilence.Minutes()),
		fmt.Sprintf("event of the upstream | %d MiB |", relay.MaxEvent>>20),
		fmt.Sprintf("| %d MiB |", relay.MaxResponse>>20),
		fmt.Sprintf("| %.0f minute, and ", job.Keep.Minutes()),
	} {
		if !strings.Contains(docs, want) {
			t.Errorf("docs/answers.md does not say %q", want)
		}
	}
}

func ExampleNew() {
	answers, err := relay.New(relay.Upstream{URL: "http://localhost:11434/v1/chat/completions", Model: "llama3.2"})
	if err != nil {
		fmt.Println(err)
		return
	}
	kinds := map[string]job.Kind{job.AnswerKind: answers} // of a job.Manager
	fmt.Println(len(kinds))
	// Output: 1
}
