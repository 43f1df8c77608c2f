package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "example.com/sse-demo/"

// TestDependencies: sse and what serves it need the standard library only, pubsub
// adds nothing to that, and routes does not know which server of streams it has.
func TestDependencies(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{"sse", "sse/eventloop", "pubsub"} {
		for _, path := range dependencies(t, folder) {
			if path != module+folder && path != module+"sse" && path != module+"sse/internal/stream" {
				t.Errorf("%s depends on %s", folder, path)
			}
		}
	}
	if slices.Contains(dependencies(t, "routes"), module+"sse/eventloop") {
		t.Error("routes depends on sse/eventloop")
	}
	for _, source := range []string{"routes/market", "routes/tail", "routes/job"} {
		if slices.Contains(dependencies(t, source), "github.com/labstack/echo/v4") {
			t.Errorf("%s depends on Echo", source)
		}
	}
}

// dependencies are the packages, but those of the standard library, that a folder
// of the module is built of.
func dependencies(t *testing.T, folder string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", module+folder).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}
