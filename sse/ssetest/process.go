package ssetest

import (
	"context"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
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

// FreeAddr returns an address at which nobody listens, for a server that a test starts,
// and may start again. Systems give its port to no outgoing connection, and no other
// test of the process gets it, so it stays free.
func FreeAddr(t testing.TB) string {
	t.Helper()
	const first, ports = 12_000, 20_000
	for {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(first+int(lastPort.Add(1)%ports)))
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			return addr
		}
		_ = conn.Close()
	}
}

// Listen listens again at an address of FreeAddr. A process that has just been started
// may have inherited the listener before, and hold it for a moment.
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
