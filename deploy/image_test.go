//go:build linux

package deploy_test

import (
	"bufio"
	"debug/elf"
	"flag"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

var image = flag.Bool("image", false, "build what the Dockerfile builds, and run it as the image would")

const (
	imageUser = 65532
	// maxImage is what the image may have in bytes, unpacked; the binary is all of it.
	maxImage = 25_000_000
)

// TestImage does what docker would: it runs the command of the build stage, and
// then its binary as the image's user, alone in a root directory in which that
// user can write to /tmp and /data only.
func TestImage(t *testing.T) {
	if !*image {
		t.Skip("go test ./deploy -run TestImage -image builds and runs what is in the image")
	}
	root := t.TempDir()
	build(t, filepath.Join(root, "sse-demo"))
	if os.Getuid() != 0 {
		t.Skip("it was built; only root can run it with another root directory and user")
	}
	for _, folder := range []string{"tmp", "data"} {
		must(t, os.Mkdir(filepath.Join(root, folder), 0o700))
		must(t, os.Chown(filepath.Join(root, folder), imageUser, imageUser))
	}
	must(t, os.Mkdir(filepath.Join(root, "etc"), 0o755))
	must(t, os.WriteFile(filepath.Join(root, "etc", "hosts"), []byte("127.0.0.1 localhost\n"), 0o644)) // as docker does

	inImage := func(port string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), "/sse-demo", args...)
		cmd.Dir = "/"
		cmd.Env = []string{"SSE_ADDR=:" + port, "SSE_DATA_FILE=/data/events"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: imageUser, Gid: imageUser}}
		return cmd
	}
	service := inImage("0")
	stderr, err := service.StderrPipe()
	must(t, err)
	must(t, service.Start())
	log := bufio.NewReader(stderr)
	line, err := log.ReadString('\n')
	must(t, err)
	first := regexp.MustCompile(`"addr":".*:(\d+)","version":"1.2.3"`).FindStringSubmatch(line)
	if first == nil {
		t.Fatal("the first line of its log is", line)
	}
	if out, err := inImage(first[1], "healthcheck").CombinedOutput(); err != nil {
		t.Errorf("healthcheck: %v, %s", err, out)
	}
	must(t, service.Process.Signal(syscall.SIGTERM))
	rest, _ := io.ReadAll(log)
	if err := service.Wait(); err != nil {
		t.Errorf("%v, %s", err, rest)
	}
	if out, err := inImage(first[1], "healthcheck").CombinedOutput(); err == nil {
		t.Errorf("healthcheck of a service that is not there: %s", out)
	}
	must(t, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		name, _ := filepath.Rel(root, path)
		if !e.IsDir() && name != "sse-demo" && name != "etc/hosts" && name != "data/events" && !strings.HasPrefix(name, "tmp/sse-demo-65532/") {
			t.Error("it has written", name)
		}
		return err
	}))
}

// build runs the Dockerfile's build command, and checks what is static and small
// about its result.
func build(t *testing.T, binary string) {
	t.Helper()
	dockerfile, err := os.ReadFile("../Dockerfile")
	must(t, err)
	command := regexp.MustCompile(`(?m)^RUN (CGO_ENABLED=0 go build .*) -o /sse-demo (.*)$`).FindStringSubmatch(string(dockerfile))
	if command == nil {
		t.Fatal("the Dockerfile does not build a static binary")
	}
	shell := exec.CommandContext(t.Context(), "sh", "-c", command[1]+" -o "+binary+" "+command[2])
	shell.Dir, shell.Env = "..", append(os.Environ(), "VERSION=1.2.3")
	if out, err := shell.CombinedOutput(); err != nil {
		t.Fatalf("%v, %s", err, out)
	}
	program, err := elf.Open(binary)
	must(t, err)
	if slices.ContainsFunc(program.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		t.Error("the binary is not static: an image from scratch has no loader")
	}
	must(t, program.Close())
	file, err := os.Stat(binary)
	must(t, err)
	t.Logf("the image has %d bytes", file.Size())
	if file.Size() > maxImage {
		t.Errorf("that is more than %d", maxImage)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
