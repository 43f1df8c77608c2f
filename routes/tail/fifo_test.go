//go:build unix

package tail_test

import (
	"os"
	"syscall"
	"testing"
)

// TestNotAFile has a FIFO under the name for a while: nobody waits for its writer.
func TestNotAFile(t *testing.T) {
	f := follow(t, "one\n")
	c := f.client(10, "", "")
	c.expect("one")
	f.rename(".1")
	f.must(syscall.Mkfifo(f.path, 0o600))
	(&fixture{T: t, path: f.path + ".1"}).write("late\n")
	c.expect("late")
	f.must(os.Remove(f.path))
	f.write("two\n")
	c.expect("two")
}
