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
	"syscall"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"example.com/sse-demo/sse/ssetest"
)

// Password is that of the server.
const Password = "not-a-secret"

// A Server is a redis-server with an append-only file, on a free port.
type Server struct {
	t    testing.TB
	Addr string
	URL  string
	dir  string
	cmd  *exec.Cmd
}

// Start runs a server until the test ends. Arguments are those of redis-server.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := Prepare(t)
	s.Run(args...)
	return s
}

// Prepare chooses an address for a server that is yet to be run.
func Prepare(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, dir: t.TempDir()}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Addr = listener.Addr().String()
	s.URL = "redis://:" + Password + "@" + s.Addr + "/0"
	_ = listener.Close()
	t.Cleanup(s.Kill)
	return s
}

// Run starts the server, also again after Kill: it then has what it had.
func (s *Server) Run(args ...string) {
	s.t.Helper()
	_, port, _ := net.SplitHostPort(s.Addr)
	config := filepath.Join(s.dir, "redis.conf")
	text := "bind 127.0.0.1\nport " + port + "\ndir " + s.dir + "\nrequirepass " + Password +
		"\nappendonly yes\nappendfsync everysec\nsave \"\"\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	//nolint:gosec // the test says what to run
	s.cmd = exec.CommandContext(context.WithoutCancel(s.t.Context()), ssetest.Need(s.t, "redis-server", "redis-server"),
		append([]string{config}, args...)...)
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "Ready to accept connections") {
			go func() {
				for lines.Scan() { //nolint:revive // the server must not block on a full pipe
				}
			}()
			return
		}
	}
	s.t.Fatal("redis-server does not start")
}

// Kill ends the server without a warning.
func (s *Server) Kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// Pause stops the server where it stands: connections stay, answers do not come.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(signal syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

// Dial returns a connection to the server, which ends with the test.
func (s *Server) Dial() redis.Conn {
	s.t.Helper()
	conn, err := redis.DialContext(s.t.Context(), "tcp", s.Addr, redis.DialPassword(Password), redis.DialConnectTimeout(time.Second))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// Do runs a command and returns what Redis answers as text.
func (s *Server) Do(command string, args ...any) string {
	s.t.Helper()
	conn := s.Dial()
	defer func() { _ = conn.Close() }()
	answer, err := conn.Do(command, args...)
	if err != nil {
		s.t.Fatalf("%s %v: %v", command, args, err)
	}
	if text, ok := answer.([]byte); ok {
		return string(text)
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
