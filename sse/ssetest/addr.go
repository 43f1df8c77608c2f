package ssetest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
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

// AwaitServer returns when a server listens at the address.
func AwaitServer(t testing.TB, addr string) {
	t.Helper()
	const patience = 20 * time.Second
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
