//go:build unix

package main

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestOwnLogIsPrivate: what other users may have put in a shared temporary
// directory is neither served nor written to, and holds nothing up.
func TestOwnLogIsPrivate(t *testing.T) {
	free := listenAnywhere(t)
	addr := free.Addr()
	_ = free.Close()
	folder := "sse-demo-" + strconv.Itoa(os.Geteuid())
	const other = 12345
	for name, prepare := range map[string]func(t *testing.T, temp, own string){
		"the folder is a link": func(t *testing.T, _, own string) { must(t, os.Symlink(t.TempDir(), own)) },
		"the folder is a file": func(t *testing.T, _, own string) { must(t, os.WriteFile(own, nil, 0o600)) },
		"others may write": func(t *testing.T, _, own string) {
			must(t, os.Mkdir(own, 0o700))
			must(t, os.Chmod(own, 0o777))
		},
		"another user's folder": func(t *testing.T, _, own string) {
			must(t, os.Mkdir(own, 0o755))
			chown(t, own, other)
		},
		"another user's temporary directory": func(t *testing.T, temp, _ string) { chown(t, temp, other) },
		"no sticky bit":                      func(t *testing.T, temp, _ string) { must(t, os.Chmod(temp, 0o777)) },
		"the file is a link": func(t *testing.T, _, own string) {
			must(t, os.Mkdir(own, 0o700))
			must(t, os.Symlink("/etc/passwd", filepath.Join(own, ownLogName(addr))))
		},
		"the file is a FIFO": func(t *testing.T, _, own string) {
			must(t, os.Mkdir(own, 0o700))
			must(t, syscall.Mkfifo(filepath.Join(own, ownLogName(addr)), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			temp := filepath.Join(t.TempDir(), "shared")
			must(t, os.Mkdir(temp, 0o700))
			must(t, os.Chmod(temp, 0o777|os.ModeSticky))
			prepare(t, temp, filepath.Join(temp, folder))
			cmd := programCommand(t, []string{"TMPDIR=" + temp}, "--addr", addr.String())
			stop := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
			defer stop.Stop()
			out, err := cmd.CombinedOutput()
			if err == nil || strings.Count(string(out), "\n") != 1 || !strings.Contains(string(out), temp) {
				t.Errorf("%q, %v", out, err)
			}
		})
	}
}

// TestOwnLogOfEachAddress: two services with one port at two addresses do not share
// a file.
func TestOwnLogOfEachAddress(t *testing.T) {
	seen := map[string]string{}
	for _, addr := range []string{"[::]:80", "0.0.0.0:80", "127.0.0.1:80", "127.0.0.2:80", "[::1]:80", "[fe80::1%eth0]:80", "[fe80::1%eth1]:80"} {
		resolved, err := net.ResolveTCPAddr("tcp", addr)
		must(t, err)
		name := ownLogName(resolved)
		if seen[name] != "" || filepath.Base(name) != name || strings.ContainsAny(name, "[]:%") {
			t.Errorf("%s and %s: %s", seen[name], addr, name)
		}
		seen[name] = addr
	}
}

func chown(t *testing.T, path string, user int) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give a folder to another user")
	}
	must(t, os.Chown(path, user, user))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
