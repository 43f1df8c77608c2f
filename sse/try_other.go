//go:build !unix

package sse

import "syscall"

// An attempt writes nothing where a write can only be waited for.
type attempt struct{}

func (*attempt) write(syscall.RawConn, []byte) (int, error) { return 0, nil }
