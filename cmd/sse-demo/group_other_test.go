//go:build !unix

package main

import "os/exec"

// inGroup does without: there are no process groups.
func inGroup(*exec.Cmd) (kill func()) { return func() {} }
