package main

import (
	"fmt"
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
// choose which file it is: see [checkPrivate].
func openOwnLog(addr net.Addr) (*lumberjack.Logger, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("sse-demo-%d", os.Geteuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := checkPrivate(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, ownLogName(addr))
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() { // opening a FIFO would wait for ever
		return nil, fmt.Errorf("%s is not a regular file; remove it", path)
	}
	own := &lumberjack.Logger{Filename: path, MaxSize: ownLogMegabytes, MaxBackups: ownLogBackups}
	_, err := own.Write(nil) // opens it, or says why not
	return own, err
}

// ownLogName has the address, so that the file is the same after a restart, and
// another one for a service at another address.
func ownLogName(addr net.Addr) string {
	const all = "[::]:" // addresses, which is the default
	notInFiles := strings.NewReplacer("[", "_", "]", "_", ":", "_", "%", "_")
	return "sse-demo-" + notInFiles.Replace(strings.TrimPrefix(addr.String(), all)) + ".log"
}
