//go:build unix

package filebroker

import (
	"os"
	"syscall"
)

// lock fails if another process has locked the file. A lock ends with its process.
func lock(file *os.File) error {
	return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}
