package ssetest

import (
	"os"
	"os/exec"
	"testing"
)

// Need finds a program that a test drives, which is in a package of Debian. See
// [Missing] for what happens without it.
func Need(t testing.TB, name, debian string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/", "/usr/local/sbin/"} { // nginx is often not in PATH
		if path, err := exec.LookPath(dir + name); err == nil {
			return path
		}
	}
	Missing(t, name, "apt-get install "+debian)
	return ""
}

// Missing skips a test that lacks something, and prints how to install it; with
// CI=true the test fails.
func Missing(t testing.TB, what, install string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: %s", what, install)
	}
	t.Skipf("%s is missing: %s", what, install)
}
