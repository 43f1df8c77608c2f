// Package proxytest runs real proxies, with the configurations of package deploy,
// in front of servers of a test.
package proxytest

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/sse-demo/sse/ssetest"
)

// patience is how long a proxy may take to start, and to end.
const patience = 20 * time.Second

// A Command makes the command that runs a proxy with the configuration in file.
// The directory is its own.
type Command func(ctx context.Context, t testing.TB, file, dir string) *exec.Cmd

// serverName is how the configurations call the servers.
var serverName = regexp.MustCompile(`sse-demo(?:-(\d))?:8000`)

// Start runs a proxy until the test ends, and returns its URL. Its configuration
// is that in the file config with the servers' addresses instead of their names,
// and with changes, which are pairs of an old and a new text. In the new text, ADDR
// is the address to listen at and DIR the directory.
func Start(t testing.TB, config string, servers []string, command Command, changes ...string) string {
	t.Helper()
	addr := ssetest.FreeAddr(t)
	dir := t.TempDir()
	content, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	text := serverName.ReplaceAllStringFunc(string(content), func(name string) string {
		number, _ := strconv.Atoi(serverName.FindStringSubmatch(name)[1])
		return servers[max(number-1, 0)%len(servers)]
	})
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			t.Fatalf("%s has no %q", config, changes[i])
		}
		text = strings.ReplaceAll(text, changes[i], strings.NewReplacer("DIR", dir, "ADDR", addr).Replace(changes[i+1]))
	}
	file := filepath.Join(dir, filepath.Base(config))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, command(t.Context(), t, file, dir), dir, addr)
	return "http://" + addr
}

func run(t testing.TB, cmd *exec.Cmd, dir, addr string) {
	t.Helper()
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // its workers end with it
	cmd.WaitDelay = patience
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // the test's context has ended, and with it the proxy
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s", &output)
		}
	})
	ssetest.AwaitServer(t, addr)
}

// NginxChanges make nginx listen at the test's address, and write to places that
// need no root.
var NginxChanges = []string{
	"listen 8080", "listen ADDR",
	"http {", "http {\n client_body_temp_path DIR/a; proxy_temp_path DIR/b; fastcgi_temp_path DIR/c; uwsgi_temp_path DIR/d; scgi_temp_path DIR/e;\n",
}

// Nginx is the Command of nginx.
func Nginx(ctx context.Context, t testing.TB, file, dir string) *exec.Cmd {
	return exec.CommandContext(ctx, ssetest.Need(t, "nginx", "nginx-light"), "-p", dir, "-c", file,
		"-e", dir+"/error.log", "-g", "daemon off; pid "+dir+"/pid;")
}

// Apache is the Command of Apache httpd.
func Apache(ctx context.Context, t testing.TB, file, dir string) *exec.Cmd {
	server := ssetest.Need(t, "apache2", "apache2-bin")
	args := []string{"-DFOREGROUND", "-f", file, "-C", "ServerRoot " + dir, "-C", "PidFile pid", "-C", "ErrorLog error.log", "-C", "ServerName localhost"}
	for _, module := range []string{"mpm_event", "authz_core", "proxy", "proxy_http", "filter", "deflate"} {
		args = append(args, "-C", "LoadModule "+module+"_module /usr/lib/apache2/modules/mod_"+module+".so")
	}
	return exec.CommandContext(ctx, server, args...)
}
