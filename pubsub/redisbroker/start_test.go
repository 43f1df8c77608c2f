package redisbroker

import (
	"bufio"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/sse-demo/pubsub/redistest"
)

// oldRedis answers HELLO, and nothing else.
func oldRedis(t *testing.T, answer string) (url string) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					if strings.EqualFold(lines.Text(), "hello") {
						_, _ = conn.Write([]byte(answer))
					}
				}
				_ = conn.Close()
			})
		}
	})
	t.Cleanup(func() { _ = listener.Close(); running.Wait() })
	return "redis://" + listener.Addr().String()
}

// TestVersion: a Redis that is too old is refused at once, with a line that says so.
func TestVersion(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		"*4\r\n$7\r\nversion\r\n$6\r\n6.0.16\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n": "it is version 6.0.16; 6.2 or later is needed",
		"-ERR unknown command `HELLO`, with args beginning with: \r\n":               "it is older than version 6; 6.2 or later is needed",
	} {
		url := oldRedis(t, answer)
		b, err := New(options(url))
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		err = b.Start(t.Context())
		if err == nil || !strings.HasSuffix(err.Error(), want) || !strings.Contains(err.Error(), strings.TrimPrefix(url, "redis://")) {
			t.Errorf("%v, want %q", err, want)
		}
		if took := time.Since(began); took > defaultTiming.start {
			t.Errorf("it was tried again and again, for %v", took)
		}
		b.Close()
	}
	for version, old := range map[string]bool{"5.0.7": true, "6.0.16": true, "6.2.0": false, "6.10": false, "7.4.1": false, "10.0.0": false, "df-v1.2": false, "": false} {
		if isTooOld(version) != old {
			t.Errorf("%q is older: %v, want %v", version, !old, old)
		}
	}
}

// TestKeyOfAnotherType: the error of Start names the key.
func TestKeyOfAnotherType(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("SET", defaultKey, "x")
	b, err := New(options(server.URL))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "WRONGTYPE") || !strings.Contains(err.Error(), defaultKey) {
		t.Error(err)
	}
}
