package deploy_test

import (
	"os/exec"
	"testing"

	"example.com/sse-demo/sse/ssetest"
)

// TestGoHandlers tests the handlers of docs/copy.md for chi, Echo and Gin, which are in
// a module of their own.
func TestGoHandlers(t *testing.T) {
	run := func(arg ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "go", arg...)
		cmd.Dir = "gohandlers"
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run("mod", "download"); err != nil {
		ssetest.Missing(t, "a module ("+out+")", "go -C deploy/gohandlers mod download")
	}
	if out, err := run("test", "-vet=all", "./..."); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
