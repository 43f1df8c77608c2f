package pubsub_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// module is the path of this module, and of its packages.
const module = "example.com/sse-demo"

func goCommand(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	if dir != "." {
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestDependencies: pubsub adds nothing to sse and the standard library.
func TestDependencies(t *testing.T) {
	for name := range strings.Lines(goCommand(t, ".", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".")) {
		if name = strings.TrimSpace(name); name != module+"/pubsub" && name != module+"/sse" {
			t.Errorf("pubsub depends on %s", name)
		}
	}
}

// TestCopy copies sse and pubsub into another module, as the README says: replace
// the import path, delete nothing. What there is builds, and its tests pass.
func TestCopy(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds everything anew")
	}
	if strings.HasPrefix(goCommand(t, ".", "list", "-m"), "example.org/copied") {
		t.Skip("this is the copy")
	}
	dir := t.TempDir()
	for _, folder := range []string{"sse", "pubsub"} {
		copyFolder(t, filepath.Join("..", folder), filepath.Join(dir, folder))
	}
	goMod, err := os.ReadFile("../go.mod") // its versions, so that nothing is to be downloaded
	if err == nil {
		goMod = bytes.Replace(goMod, []byte(module), []byte("example.org/copied"), 1)
		err = os.WriteFile(filepath.Join(dir, "go.mod"), goMod, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	copyFile(t, "../go.sum", filepath.Join(dir, "go.sum"))
	goCommand(t, dir, "build", "./...")
	goCommand(t, dir, "vet", "./...")
	goCommand(t, dir, "test", "-short", "./sse/...", "./pubsub")
}

func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		rest, err := filepath.Rel(from, path)
		if err == nil {
			copyFile(t, path, filepath.Join(to, rest))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o700)
	}
	if err == nil {
		err = os.WriteFile(to, bytes.ReplaceAll(text, []byte(module), []byte("example.org/copied")), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
