// Package redistest runs a real redis-server for a test.
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

// A Server is a redis-server on a free port.
type Server struct {
	Addr   string
	URL    string
	Config string // the text of redis.conf; by default it has an append-only file
	t      testing.TB
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
	s.Config = "requirepass " + Password + "\nmasterauth " + Password + "\nappendonly yes\nsave \"\"\nrepl-diskless-sync-delay 0\n"
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

// Launch is Run for a goroutine other than the test's. It returns when the server is ready.
func (s *Server) Launch(args ...string) error {
	config := filepath.Join(s.dir, "redis.conf")
	if _, err := os.Stat(config); err != nil { // a Sentinel writes into its own
		_, port, _ := net.SplitHostPort(s.Addr)
		text := "bind 127.0.0.1\nport " + port + "\ndir " + s.dir + "\n" + s.Config
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

// Pause stops the server where it is: connections stay, answers do not come.
func (s *Server) Pause() { s.signal("STOP") }

// Resume lets it go on.
func (s *Server) Resume() { s.signal("CONT") }

func (s *Server) signal(name string) {
	s.t.Helper()
	//nolint:gosec // the test says what to run
	out, err := exec.CommandContext(s.t.Context(), ssetest.Need(s.t, "kill", "procps"), "-"+name, strconv.Itoa(s.cmd.Process.Pid)).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%v: %s", err, out)
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

// Eventually waits until the answer to a command contains a text, some seconds.
func (s *Server) Eventually(text, command string, args ...any) {
	s.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !strings.Contains(s.Do(command, args...), text); <-tick.C {
		if time.Now().After(end) {
			s.t.Fatalf("waited in vain for %q in the answer to %s %v", text, command, args)
		}
	}
}
