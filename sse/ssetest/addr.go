package ssetest

import (
	"context"
	"math/rand/v2"
	"net"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// lastPort is what FreeAddr has tried last. Each process begins somewhere else.
var lastPort atomic.Uint32

func init() { lastPort.Store(rand.Uint32N(1 << 31)) }

// FreeAddr returns an address for a server that a test starts, and may start again.
// Systems give its port to no outgoing connection, and no other test of the process
// gets it, so it stays free.
func FreeAddr(t testing.TB) string {
	t.Helper()
	const first, ports, attempts = 12_000, 20_000, 100
	if runtime.GOOS == "linux" { // where Listen does not lock it, too
		// A process that another test starts now would inherit the listener, and hold
		// the port until it runs its program.
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
	}
	for range attempts {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(first+int(lastPort.Add(1)%ports)))
		if listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr); err == nil {
			_ = listener.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

// Listen listens at an address of FreeAddr, which a process that has just been
// started may still hold for a moment.
func Listen(t testing.TB, addr string) net.Listener {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; <-tick.C {
		listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
		if err == nil {
			return listener
		}
		if time.Now().After(end) {
			t.Fatal("cannot listen: ", err)
		}
	}
}

// patience is how long a test waits for what should come at once.
const patience = 20 * time.Second

// AwaitServer returns when a server listens at the address.
func AwaitServer(t testing.TB, addr string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; <-tick.C {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatal("no server listens: ", err)
		}
	}
}
