package ssetest

import (
	"os"
	"os/exec"
	"testing"
)

// Need finds a program that a test drives. If it is missing, the test is
// skipped and says which package of Debian to install; with CI=true it fails.
func Need(t testing.TB, name, debian string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/", "/usr/local/sbin/"} { // nginx is often not in PATH
		if path, err := exec.LookPath(dir + name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: apt-get install %s", name, debian)
	}
	t.Skipf("%s is missing: apt-get install %s", name, debian)
	return ""
}
