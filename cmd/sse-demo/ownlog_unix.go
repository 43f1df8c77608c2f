//go:build unix

package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// checkPrivate returns an error if another user could write to the folder, or
// exchange it.
func checkPrivate(folder string) error {
	const byOthers = 0o022 // may be written to
	own, err := os.Lstat(folder)
	if err != nil {
		return err
	}
	if !own.IsDir() || userOf(own) != os.Geteuid() || own.Mode()&byOthers != 0 {
		return fmt.Errorf("%s is not a folder that you alone may write to; remove it", folder)
	}
	above, err := os.Stat(filepath.Dir(folder))
	if err != nil {
		return err
	}
	isShared := above.Mode()&byOthers != 0 && above.Mode()&fs.ModeSticky == 0
	if user := userOf(above); user != os.Geteuid() && user != 0 || isShared {
		return fmt.Errorf("others may exchange %s: the folder around it is another user's, or all may write to it and it has no sticky bit", folder)
	}
	return nil
}

func userOf(info fs.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) }
