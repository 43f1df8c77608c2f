// Package redistest runs a real redis-server for a test, and does to it what
// happens to servers.
package redistest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/sse-demo/sse/ssetest"
)

// Password is the password of every server.
const Password = "not-a-secret"

// A Server is a redis-server with an append-only file, on a free port.
type Server struct {
	t      testing.TB
	Addr   string
	URL    string
	dir    string
	binary string
	cmd    *exec.Cmd
}

// Start runs a server until the test ends, with these arguments of redis-server. If
// there is no redis-server, the test is skipped.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := Prepare(t)
	s.Run(args...)
	return s
}

// Prepare chooses an address for a server that is yet to be run.
func Prepare(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, binary: ssetest.Need(t, "redis-server", "redis-server"), dir: t.TempDir(), Addr: ssetest.FreeAddr(t)}
	s.URL = "redis://:" + Password + "@" + s.Addr + "/0"
	t.Cleanup(s.Kill)
	return s
}

// Run starts the server, also again after Kill: it then has what it had.
func (s *Server) Run(args ...string) {
	s.t.Helper()
	if err := s.Launch(args...); err != nil {
		s.t.Fatal(err)
	}
}

// Launch is Run for a goroutine other than the test's.
func (s *Server) Launch(args ...string) error {
	_, port, _ := net.SplitHostPort(s.Addr)
	text := "bind 127.0.0.1\nport " + port + "\ndir " + s.dir + "\nrequirepass " + Password + "\nmasterauth " + Password +
		"\nappendonly yes\nappendfsync everysec\nsave \"\"\nrepl-diskless-sync-delay 0\n"
	return s.launch(text, args)
}

// launch returns when the server is ready.
func (s *Server) launch(text string, args []string) error {
	config := filepath.Join(s.dir, "redis.conf")
	if _, err := os.Stat(config); err != nil { // a Sentinel writes into its own
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			return err
		}
	}
	//nolint:gosec // the test says what to run
	s.cmd = exec.CommandContext(context.WithoutCancel(s.t.Context()), s.binary, append([]string{config}, args...)...)
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	var said strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "Ready to accept connections") || strings.Contains(lines.Text(), "Sentinel ID is") {
			go func() {
				for lines.Scan() { //nolint:revive // the server must not block on a full pipe
				}
			}()
			return nil
		}
	}
	return fmt.Errorf("redis-server does not start:\n%s", said.String())
}

// Kill ends the server without a warning.
func (s *Server) Kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// Client returns a client of the server, which ends with the test.
func (s *Server) Client() *redis.Client {
	s.t.Helper()
	client := redis.NewClient(&redis.Options{Addr: s.Addr, Password: Password, DialTimeout: time.Second, Protocol: 2})
	s.t.Cleanup(func() { _ = client.Close() })
	return client
}

// Do runs a command and returns what Redis answers as text.
func (s *Server) Do(command string, args ...any) string {
	s.t.Helper()
	client := s.Client()
	defer func() { _ = client.Close() }()
	answer, err := client.Do(s.t.Context(), append([]any{command}, args...)...).Result()
	if err != nil {
		s.t.Fatalf("%s %v: %v", command, args, err)
	}
	return fmt.Sprint(answer)
}

// CPU is the processor time that the server has used.
func (s *Server) CPU() time.Duration {
	s.t.Helper()
	var total time.Duration
	for line := range strings.Lines(s.Do("INFO", "cpu")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "used_cpu_sys" || name == "used_cpu_user" {
			seconds, err := strconv.ParseFloat(value, 64)
			if err != nil {
				s.t.Fatal(err)
			}
			total += time.Duration(seconds * float64(time.Second))
		}
	}
	return total
}
