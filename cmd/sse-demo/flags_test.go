package main

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestHealthcheck(t *testing.T) {
	p := start(t, nil)
	if out, err := programCommand(t, nil, "healthcheck", "--addr", p.addr).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%s %v", out, err)
	}
	p.signal(syscall.SIGTERM)
	p.ends(0)
	out, err := programCommand(t, nil, "healthcheck", "--addr", p.addr).CombinedOutput()
	if err == nil || strings.Count(string(out), "\n") != 1 {
		t.Errorf("%q, %v", out, err)
	}
}

func TestEnvironment(t *testing.T) {
	free := listenAnywhere(t)
	_, port, _ := net.SplitHostPort(free.Addr().String())
	_ = free.Close()
	p := start(t, []string{"PORT=" + port, "SSE_MAX_STREAMS=1", "SSE_LOG_FORMAT=json"})
	if _, got, _ := net.SplitHostPort(p.addr); got != port {
		t.Errorf("listens on %s, PORT is %s", p.addr, port)
	}
	p.addr = "127.0.0.1:" + port
	conn := p.open("/stream/tick")
	defer func() { _ = conn.Close() }()
	if body := p.get("/stream/tick"); !strings.Contains(body, "no more streams") {
		t.Error(body)
	}
}

func TestBadCommandLine(t *testing.T) {
	taken := listenAnywhere(t)
	defer func() { _ = taken.Close() }()
	for _, tt := range []struct {
		status int
		says   string
		env    []string
		args   []string
	}{
		{2, "unknown flag --bogus", nil, []string{"--bogus"}},
		{2, "unexpected argument", nil, []string{"bogus"}},
		{2, "--heartbeat", nil, []string{"--heartbeat", "soon"}},
		{2, "--heartbeat must be above 0", nil, []string{"--heartbeat", "0s"}},
		{2, "--retry must be", nil, []string{"--retry=-1s"}},
		{2, "--history must be", nil, []string{"--history", "0"}},
		{2, "--history-bytes", nil, []string{"--history-bytes", "64XiB"}},
		{2, "--max-streams must be", nil, []string{"--max-streams", "0"}},
		{2, "--write-timeout must be", nil, []string{"--write-timeout", "0s"}},
		{2, "--shutdown-timeout must", nil, []string{"--shutdown-timeout=-1s"}},
		{2, "--log-level", nil, []string{"--log-level", "loud"}},
		{2, "--log-format", nil, []string{"--log-format", "xml"}},
		{2, "not a regular file", nil, []string{"--log-file", os.TempDir()}},
		{2, "two files are named", nil, []string{"--log-file", "/x/a.log", "--log-file", "/y/a.log"}},
		{2, "go together", nil, []string{"--tls-cert", "x"}},
		{1, "--tls-cert", nil, []string{"--addr", "127.0.0.1:0", "--tls-cert", "missing", "--tls-key", "missing", "--log-level", "error"}},
		{2, "at least 32 bytes", nil, []string{"--jwt-secret", "short-secret-short-secret-short"}},
		{2, "--cors-origin must be like", nil, []string{"--cors-origin", "*"}},
		{2, "--cors-origin must be like", nil, []string{"--cors-origin", "example.com"}},
		{2, "--redis-url must be like", nil, []string{"--redis-url", "localhost:6379"}},
		{2, "--redis-history must be", nil, []string{"--redis-history", "0"}},
		{2, "--redis-history-bytes must be", nil, []string{"--redis-history-bytes", "0"}},
		{2, "--redis-url must be like", nil, []string{"--redis-url", "redis://:short-secret@[::"}},
		{2, "SSE_HISTORY", []string{"SSE_HISTORY=many"}, nil},
		{1, "is in use", nil, []string{"--addr", taken.Addr().String()}},
		{1, "cannot listen", nil, []string{"--addr", "no-port"}},
		{1, "log file", []string{"TMPDIR=/proc/nowhere"}, []string{"--addr", "127.0.0.1:0"}},
	} {
		cmd := programCommand(t, tt.env, tt.args...)
		out, _ := cmd.CombinedOutput()
		if strings.Contains(string(out), "short-secret") {
			t.Errorf("the secret is shown: %s", out)
		}
		if status := cmd.ProcessState.ExitCode(); status != tt.status || strings.Count(string(out), "\n") != 1 || !strings.Contains(string(out), tt.says) {
			t.Errorf("%q: exit status %d, %q", tt.args, status, out)
		}
	}
	out, err := programCommand(t, nil, "--help").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--log-file") || !strings.Contains(string(out), "SSE_WRITE_TIMEOUT") {
		t.Errorf("%s %v", out, err)
	}
}
