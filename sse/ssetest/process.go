package ssetest

import (
	"context"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Need finds a program that a test drives, which is in a package of Debian. See
// [Missing] for what happens without it.
func Need(t testing.TB, name, debian string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/", "/usr/local/sbin/"} { // nginx is often not in PATH
		if path, err := exec.LookPath(dir + name); err == nil {
			return path
		}
	}
	Missing(t, name, "apt-get install "+debian)
	return ""
}

// Missing skips a test that lacks something, and prints how to install it; with
// CI=true the test fails.
func Missing(t testing.TB, what, install string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: %s", what, install)
	}
	t.Skipf("%s is missing: %s", what, install)
}

// lastPort is what FreeAddr has tried last. Each process begins somewhere else.
var lastPort atomic.Uint32

func init() { lastPort.Store(rand.Uint32N(1 << 31)) }

// FreeAddr returns an address for a server that a test starts, and may start again.
// Systems give its port to no outgoing connection, and no other test of the process
// gets it, so it stays free.
func FreeAddr(t testing.TB) string {
	t.Helper()
	const first, ports = 12_000, 20_000
	if runtime.GOOS == "linux" { // elsewhere Listen locks it
		// A process that another test starts now would inherit the listener, and hold
		// the port until it runs its program.
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
	}
	for {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(first+int(lastPort.Add(1)%ports)))
		if listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr); err == nil {
			_ = listener.Close()
			return addr
		}
	}
}

// Listen listens at an address of FreeAddr, which a process that has just been
// started may still hold for a moment.
func Listen(t testing.TB, addr string) (listener net.Listener) {
	t.Helper()
	await(t, func() (err error) {
		listener, err = new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
		return err
	})
	return listener
}

// AwaitServer returns when a server listens at the address.
func AwaitServer(t testing.TB, addr string) {
	t.Helper()
	await(t, func() error {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
}

// await tries again until there is no error, for a minute at most: Node starts slowly on
// a busy machine.
func await(t testing.TB, try func() error) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; <-time.After(10 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}
