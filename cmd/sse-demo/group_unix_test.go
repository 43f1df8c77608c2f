//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// inGroup gives a command and all that it starts a process group, which kill ends.
func inGroup(cmd *exec.Cmd) (kill func()) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return func() {
		if cmd.Process != nil {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
	}
}
