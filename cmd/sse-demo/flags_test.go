package main

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestHealthcheck(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	if out, err := programCommand(t, nil, "healthcheck", "--addr", p.addr).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%s %v", out, err)
	}
	_, port, _ := net.SplitHostPort(p.addr)
	proxied := []string{"HTTP_PROXY=http://127.0.0.1:1", "NO_PROXY="} // as many containers have it
	if out, err := programCommand(t, proxied, "healthcheck", "--addr", "0.0.0.0:"+port).CombinedOutput(); err != nil {
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
	t.Parallel()
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
		{2, "unexpected argument", nil, []string{"bog\nus"}},
		{2, "--heartbeat", nil, []string{"--heartbeat", "soon"}},
		{2, "--heartbeat: expected duration but got nothing (usage", nil, []string{"--heartbeat"}},
		{2, "--max-streams: expected an int but got nothing (usage", nil, []string{"--max-streams"}},
		{2, "--redis-url: expected a value but got nothing (usage", nil, []string{"--redis-url"}},
		{2, "--data-file: expected a value but got nothing (usage", nil, []string{"--data-file"}},
		{2, "--data-file: expected a value but got a flag; a value that begins with -- must follow a = (usage", nil, []string{"--data-file", "--log-level=debug"}},
		{2, "--data: expected a value but got nothing (usage", nil, []string{"check", "http://127.0.0.1:1", "--data"}},
		{2, "--heartbeat must be at least 1ms, not 0s", nil, []string{"--heartbeat", "0s"}},
		{2, "--heartbeat must be at least 1ms, not -5s", nil, []string{"--heartbeat", "-5s"}},
		{2, "--max-streams must be at least 1, not -1", nil, []string{"--max-streams", "-1"}},
		{2, "--retry must be 1ms to 24h", nil, []string{"--retry", "-1s"}},
		{2, "--max-age must be at least 0s, not -1s", nil, []string{"--max-age", "-1s"}},
		{2, "--redis-history-bytes: it must be a number of bytes", nil, []string{"--redis-history-bytes", "-1"}},
		{2, "--retry must be", nil, []string{"--retry=-1s"}},
		{2, "--history must be", nil, []string{"--history", "0"}},
		{2, "--history-bytes: it must be a number of bytes", nil, []string{"--history-bytes", "64XiB"}},
		{2, "--max-streams must be", nil, []string{"--max-streams", "0"}},
		{2, "--write-timeout must be", nil, []string{"--write-timeout", "0s"}},
		{2, "--shutdown-timeout must be at least 0s", nil, []string{"--shutdown-timeout=-1s"}},
		{2, "--max-age must be at least 0s, not -1s", nil, []string{"--max-age=-1s"}},
		{2, "--trusted-proxy", nil, []string{"--trusted-proxy", "10.0.0.0/33"}},
		{2, "must be a network like 10.0.0.0/8, or an address", nil, []string{"--trusted-proxy", "proxy"}},
		{2, "SSE_TRUSTED_PROXY", []string{"SSE_TRUSTED_PROXY=10.0.0.0/8,,"}, nil},
		{2, "--log-level", nil, []string{"--log-level", "loud"}},
		{2, "--log-level: it must be trace, debug", []string{"SSE_LOG_LEVEL="}, nil},
		{1, "is in use", []string{"SSE_LOG_LEVEL=INFO"}, []string{"--addr", taken.Addr().String()}}, // the level is good
		{1, "is in use", nil, []string{"--addr", taken.Addr().String(), "--log-level", "1"}},
		{2, "the path is empty", nil, []string{"--log-file", "a="}},
		{2, `the name "my app" before the = must be of A-Z a-z 0-9 . _ -; a path with a = begins with ./ or /`, nil, []string{"--log-file", "my app=/x/a.log"}},
		{2, "--log-format", nil, []string{"--log-format", "xml"}},
		{2, "not a regular file", nil, []string{"--log-file", os.TempDir()}},
		{2, "two files are named", nil, []string{"--log-file", "/x/a.log", "--log-file", "/y/a.log"}},
		{2, "go together", nil, []string{"--tls-cert", "x"}},
		{1, "--tls-cert", nil, []string{"--addr", "127.0.0.1:0", "--tls-cert", "missing", "--tls-key", "missing", "--log-level", "error"}},
		{2, "--jwt-audience needs --jwt-secret", nil, []string{"--jwt-audience", "live"}},
		{2, "at least 32 bytes", nil, []string{"--jwt-secret", "short-secret-short-secret-short"}},
		{2, "--cors-origin must be like", nil, []string{"--cors-origin", "*"}},
		{2, "--cors-origin must be like", nil, []string{"--cors-origin", "example.com"}},
		{2, "--redis-url must be like", nil, []string{"--redis-url", "localhost:6379"}},
		{2, "--redis-history must be", nil, []string{"--redis-history", "0"}},
		{2, "--redis-history-bytes must be", nil, []string{"--redis-history-bytes", "0"}},
		{2, "--redis-url must be like", nil, []string{"--redis-url", "redis://:short-secret@[::"}},
		{2, "--answer-url: it must be like", nil, []string{"--answer-url", "localhost:11434"}},
		{2, "--answer-url: it must be like https://host/v1/chat/completions; a key goes into SSE_ANSWER_KEY", nil, []string{"--answer-url", "https://short-secret:short-secret@host/"}},
		{2, "SSE_ANSWER_KEY has characters", []string{"SSE_ANSWER_KEY=short-secret short-secret"}, []string{"--answer-url", "https://host/"}},
		{2, "--answer-model needs --answer-url", nil, []string{"--answer-model", "x"}},
		{2, "SSE_HISTORY", []string{"SSE_HISTORY=many"}, nil},
		{1, "is in use", nil, []string{"--addr", taken.Addr().String()}},
		{2, "--addr", nil, []string{"--addr", "no-port"}},
		{2, "--addr", []string{"PORT="}, nil},
		{2, "--addr", []string{"SSE_ADDR=", "PORT=8000"}, nil},
		{2, "--addr", nil, []string{"--addr", "127.0.0.1:99999"}},
		{2, "--addr", nil, []string{"--addr", "unix:/x.sock"}},
		{2, "--addr", nil, []string{"healthcheck", "--addr", "no-port"}},
		{1, "cannot listen", nil, []string{"--addr", "192.0.2.1:8000"}},
		{2, "--jwt-secret must be at least 32 bytes; leave it out", nil, []string{"--jwt-secret", ""}},
		{2, "--jwt-secret must be at least 32 bytes; leave it out", []string{"SSE_JWT_SECRET="}, nil},
		{2, "--heartbeat must be at least 1ms", nil, []string{"--heartbeat", "100us"}},
		{2, "--retry must be 1ms to 24h", nil, []string{"--retry", "2000000h"}},
		{2, "--cors-origin", nil, []string{"--cors-origin", "https://*"}},
		{2, "--cors-origin", nil, []string{"--cors-origin", "https://*.example.com"}},
		{2, "--cors-origin", nil, []string{"--cors-origin", "https://Example.com"}},
		{2, "--cors-origin", nil, []string{"--cors-origin", "https://example.com:443"}},
		{2, "expected \"<url>\"", nil, []string{"check"}},
		{2, "unexpected argument", nil, []string{"check", "http://a", "http://b"}},
		{2, "unknown flag --bogus", nil, []string{"check", "http://a", "--bogus"}},
		{2, "unknown flag --history", nil, []string{"check", "http://a", "--history", "9"}},
		{2, "--for", nil, []string{"check", "http://a", "--for", "soon"}},
		{2, "--compare: the URL must be like", nil, []string{"check", "http://a", "--compare", ""}},
		{2, "--compare: the URL must be like", nil, []string{"check", "http://a", "--compare="}},
		{2, "--origin must be like", nil, []string{"check", "http://a", "--origin", ""}},
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
}

// TestHelp: the help of the program names its commands, and the flags that need no
// command; a command's help names its own flags only.
func TestHelp(t *testing.T) {
	for _, tt := range []struct {
		args      string
		has, lack []string
	}{
		{"--help", []string{"--log-file", "SSE_WRITE_TIMEOUT", "healthcheck", "check <url>"}, []string{"--compare"}},
		{"check --help", []string{"--compare", "--all-methods"}, []string{"--log-file"}},
		{"healthcheck --help", []string{"--addr"}, []string{"--log-file"}},
	} {
		out, err := programCommand(t, nil, strings.Fields(tt.args)...).Output()
		if err != nil {
			t.Error(tt.args, err)
		}
		for _, has := range tt.has {
			if !strings.Contains(string(out), has) {
				t.Errorf("%s lacks %s:\n%s", tt.args, has, out)
			}
		}
		for _, lack := range tt.lack {
			if strings.Contains(string(out), lack) {
				t.Errorf("%s has %s:\n%s", tt.args, lack, out)
			}
		}
	}
}

// TestLogFile: what is before the first = is a name, unless it has a slash.
func TestLogFile(t *testing.T) {
	for text, want := range map[string]logFile{
		"/x/a.log":         {"a.log", "/x/a.log"},
		"a b é.log":        {"a b é.log", "a b é.log"},
		"A-z_0.9=/x/a.log": {"A-z_0.9", "/x/a.log"},
		"app=a=b":          {"app", "a=b"},
		"/x/my app=b.log":  {"my app=b.log", "/x/my app=b.log"},
		"./app=b.log":      {"app=b.log", "./app=b.log"},
		"my app=/x/a.log":  {},
		"café=/x/a.log":    {},
		"a:b=/x/a.log":     {},
		"=/x/a.log":        {},
		"=":                {},
		"app=":             {},
		"":                 {},
	} {
		var f logFile
		if err := f.UnmarshalText([]byte(text)); (err != nil) != (want == logFile{}) || err == nil && f != want {
			t.Errorf("%q: %+v, %v", text, f, err)
		}
	}
}

// TestByteCount: sizes are powers of 1024, and none is too large for a number.
func TestByteCount(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1000000": 1000000, "7B": 7, "1KiB": 1 << 10, "64MiB": 64 << 20, "64MB": 64 << 20, "2TiB": 2 << 40,
		"8388607TiB": 8388607 << 40, "8388608TiB": -1, "9223372036854775807": 9223372036854775807, "9223372036854775808": -1,
		"": -1, "MiB": -1, "-1": -1, "-9999999TiB": -1, "1.5MiB": -1, "64XiB": -1, "64iB": -1, "64 MiB": -1, "6MiB4KiB": -1,
	} {
		var b byteCount
		err := b.UnmarshalText([]byte(text))
		if (err != nil) != (want < 0) || err == nil && int64(b) != want {
			t.Errorf("%q: %d %v, want %d", text, b, err, want)
		}
	}
}

// TestBadCertificate is found before the address is opened, so no line says
// "listening".
func TestBadCertificate(t *testing.T) {
	out, err := programCommand(t, nil, "--addr", "127.0.0.1:0", "--tls-cert", "missing", "--tls-key", "missing").CombinedOutput()
	if err == nil || strings.Count(string(out), "\n") != 1 || strings.Contains(string(out), "listening") {
		t.Errorf("%v, %s", err, out)
	}
}

// TestTrustedProxy: the client in the log is the rightmost address that is not
// trusted; the peer, if the header is not valid or the peer is not trusted.
func TestTrustedProxy(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "--trusted-proxy", "127.0.0.0/8", "--trusted-proxy", "10.1.2.3", "--trusted-proxy", "2001:db8::/32")
	strict := start(t, nil, "--trusted-proxy", "127.0.0.2")
	for _, tt := range []struct {
		program *program
		headers []string
		want    string
	}{
		{p, nil, "127.0.0.1"},
		{p, []string{"203.0.113.9"}, "203.0.113.9"},
		{p, []string{"198.51.100.1, 203.0.113.9"}, "203.0.113.9"},
		{p, []string{"198.51.100.1,203.0.113.9 , 10.1.2.3,127.9.9.9"}, "203.0.113.9"},
		{p, []string{"203.0.113.9", "10.1.2.3"}, "203.0.113.9"}, // two fields are one list
		{p, []string{"203.0.113.9, 10.1.2.4"}, "10.1.2.4"},      // next to the one that is trusted
		{p, []string{"2001:db8:1::1, 2001:db8:ffff::1"}, "2001:db8:1::1"},
		{p, []string{"2001:db9::1, 2001:db8::1"}, "2001:db9::1"},
		{p, []string{"[2001:db9::1]"}, "2001:db9::1"},
		{p, []string{"rubbish, 203.0.113.9"}, "203.0.113.9"},
		{p, []string{"203.0.113.9, rubbish"}, "127.0.0.1"},
		{p, []string{"203.0.113.9:1234"}, "127.0.0.1"},
		{p, []string{""}, "127.0.0.1"},
		{p, []string{"203.0.113.9,"}, "127.0.0.1"},
		{strict, []string{"203.0.113.9"}, "127.0.0.1"},
	} {
		args := []string{"--max-time", "10", tt.program.url("/stream/tick?wait=0")}
		for _, header := range tt.headers {
			args = append(args, "-H", "X-Forwarded-For: "+header)
		}
		if len(tt.headers) == 1 && tt.headers[0] == "" {
			args[len(args)-1] = "X-Forwarded-For;" // as curl sends an empty one
		}
		before := len(tt.program.stderr.text())
		tt.program.curl("event: tick", args...)
		tt.program.eventually("the stream is logged", func() bool {
			return strings.Contains(tt.program.stderr.text()[before:], "stream ended")
		})
		if text := tt.program.stderr.text()[before:]; strings.Count(text, `"client":"`+tt.want+`"`) != 2 {
			t.Errorf("%q: want %s in\n%s", tt.headers, tt.want, text)
		}
	}
}

// TestMaxAge ends streams cleanly, again and again.
func TestMaxAge(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "--max-age", "100ms")
	for _, path := range []string{"/stream/channel?name=a", "/stream/progress?id=a", "/stream/log", "/stream/tick"} {
		if body := p.get(path); !strings.HasPrefix(body, "retry: ") {
			t.Errorf("%s: %q", path, body)
		}
	}
	p.eventually("all are logged", func() bool { return strings.Count(p.stderr.text(), `"reason":"aged"`) == 4 })
}
