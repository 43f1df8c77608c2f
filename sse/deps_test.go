package sse_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "example.com/sse-demo/"

// TestDependencies: what is to be copied needs the standard library only, and the
// routes do not know which server of streams they have.
func TestDependencies(t *testing.T) {
	for _, folder := range []string{"sse", "sse/eventloop"} {
		for _, path := range dependencies(t, folder) {
			if path != module+"sse" && path != module+folder {
				t.Errorf("%s depends on %s, which is not of the standard library", folder, path)
			}
		}
	}
	if slices.Contains(dependencies(t, "routes"), module+"sse/eventloop") {
		t.Error("routes depends on sse/eventloop")
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
