//go:build unix && !(linux && (amd64 || arm64) && !race)

package eventloop

import "syscall"

// send is write(2), for a socket that does not block.
func send(fd uintptr, p []byte) (int, error) {
	n, err := syscall.Write(int(fd), p)
	return max(n, 0), err
}
