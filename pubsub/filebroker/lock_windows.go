package filebroker

import (
	"os"

	"golang.org/x/sys/windows"
)

// lock fails if another process has locked the file. A lock ends with its process.
func lock(file *os.File) error {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	beyond := &windows.Overlapped{OffsetHigh: 1 << 30} // because what is locked cannot be read
	return windows.LockFileEx(windows.Handle(file.Fd()), flags, 0, 1, 0, beyond)
}
