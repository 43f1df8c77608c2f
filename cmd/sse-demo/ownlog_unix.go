//go:build unix

package main

import (
	"io/fs"
	"os"
	"syscall"
)

// sharedFolder returns why another user could write to the folder or exchange it,
// "" if none could. Temp is the directory that it is in.
func sharedFolder(temp, folder fs.FileInfo) string {
	const writableByOthers = 0o022
	switch {
	case !belongsTo(folder, os.Geteuid()):
		return "another user has made it; remove it"
	case folder.Mode()&writableByOthers != 0:
		return "others may write to it; remove it"
	case !belongsTo(temp, os.Geteuid()) && !belongsTo(temp, 0):
		return "it is in a folder of another user"
	case temp.Mode()&writableByOthers != 0 && temp.Mode()&fs.ModeSticky == 0:
		return "it is in a folder that others may write to, and that has no sticky bit"
	default:
		return ""
	}
}

func belongsTo(info fs.FileInfo, user int) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == user
}
