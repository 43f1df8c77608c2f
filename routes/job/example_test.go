package job_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/rs/zerolog"

	"example.com/sse-demo/routes/job"
)

// A kind of job is a function in a table.
func ExampleKind() {
	jobs := job.NewManager(zerolog.Nop(), job.NewJournal())
	defer jobs.Close()
	jobs.Kinds["shout"] = job.Kind{Write: func(ctx context.Context, r job.Request, write func(piece string) error) error {
		for word := range strings.FieldsSeq(r.Prompt()) {
			if err := write(strings.ToUpper(word) + " "); err != nil {
				return err
			}
		}
		return nil
	}}
	watch, err := jobs.Start(context.Background(), "a", "shout", job.Ask("hello world"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for line := range strings.Lines(drain(watch)) { // as a client reads it
		if data, ok := strings.CutPrefix(line, "data: "); ok && !strings.Contains(data, "elapsedMs") {
			fmt.Print(data)
		}
	}
	// Output:
	// {"id":"a","index":0,"text":"HELLO "}
	// {"id":"a","index":1,"text":"WORLD "}
}
