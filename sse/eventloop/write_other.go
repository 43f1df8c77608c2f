//go:build !unix

package eventloop

import "syscall"

// An attempt is a write that does not wait. Here there is none: each stream
// writes in a separate goroutine.
type attempt struct{}

func (*attempt) write(syscall.RawConn, []byte) (int, error) { return 0, nil }
