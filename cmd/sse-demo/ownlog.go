package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/natefinch/lumberjack.v2"
)

// The service's own log file is rotated, and its past kept, at these.
const (
	ownLogMegabytes = 10
	ownLogBackups   = 2
)

// openOwnLog returns the service's own log file, in a folder of the user's in the
// temporary directory. Everybody may read it by /stream/log, so no other user may
// choose which file it is: see [ownFolder].
func openOwnLog(addr net.Addr) (*lumberjack.Logger, error) {
	dir, err := ownFolder()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, ownLogName(addr))
	info, err := os.Lstat(path)
	switch {
	case err == nil && !info.Mode().IsRegular(): // opening a FIFO would wait for ever
		return nil, fmt.Errorf("%s is not a regular file; remove it", path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	own := &lumberjack.Logger{Filename: path, MaxSize: ownLogMegabytes, MaxBackups: ownLogBackups}
	_, err = own.Write(nil) // opens it, or says why not
	return own, err
}

// ownFolder returns a folder in the temporary directory that belongs to this user
// alone. Others may write to the temporary directory, and may have made something
// of that name before.
func ownFolder() (string, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("sse-demo-%d", os.Geteuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return "", fmt.Errorf("%s is not a folder; remove it", dir)
	}
	temp, err := os.Stat(os.TempDir())
	if err != nil {
		return "", err
	}
	if why := sharedFolder(temp, info); why != "" {
		return "", fmt.Errorf("%s: %s", dir, why)
	}
	return dir, nil
}

// ownLogName has the address, so that the file is the same after a restart, and
// another one for a service at another address. The default address, that is all of
// them, is left out.
func ownLogName(addr net.Addr) string {
	name := strings.TrimPrefix(addr.String(), "[::]:")
	name = strings.Map(func(r rune) rune {
		if strings.ContainsRune("[]:%", r) { // not in file names everywhere
			return '_'
		}
		return r
	}, name)
	return "sse-demo-" + name + ".log"
}
