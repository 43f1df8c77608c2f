package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// server is a server under test: one child process in a process group of its
// own, pinned to one core, with whatever processes it starts itself.
type server struct {
	cmd  *exec.Cmd
	pid  int
	done chan struct{}
}

func startServer(o *options) (*server, error) {
	_, port, err := net.SplitHostPort(o.addr)
	if err != nil {
		return nil, err
	}
	if c, err := net.Dial("tcp", o.addr); err == nil {
		c.Close()
		return nil, fmt.Errorf("something already listens on %s", o.addr)
	}
	logf, err := os.Create(filepath.Join(os.TempDir(), "bench-"+o.name+".log"))
	if err != nil {
		return nil, err
	}
	defer logf.Close()
	command := strings.NewReplacer("{port}", port, "{addr}", o.addr).Replace(o.cmd)
	s := &server{done: make(chan struct{})}
	s.cmd = exec.Command("taskset", "-c", strconv.Itoa(o.serverCPU), "sh", "-c", "exec "+command)
	s.cmd.Dir = o.dir
	s.cmd.Env = append(os.Environ(), "PORT="+port, "ADDR="+o.addr)
	s.cmd.Stdout, s.cmd.Stderr = logf, logf
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	s.pid = s.cmd.Process.Pid
	go func() { s.cmd.Wait(); close(s.done) }()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		select {
		case <-s.done:
			return nil, fmt.Errorf("%s exited at start, see %s", o.name, logf.Name())
		case <-time.After(50 * time.Millisecond):
		}
		if c, err := net.Dial("tcp", o.addr); err == nil {
			c.Close()
			time.Sleep(700 * time.Millisecond)
			return s, nil
		}
	}
	s.stop()
	return nil, fmt.Errorf("%s does not listen on %s", o.name, o.addr)
}

func (s *server) stop() {
	syscall.Kill(-s.pid, syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(3 * time.Second):
	}
	syscall.Kill(-s.pid, syscall.SIGKILL) // what is left of the group
	<-s.done
}

func (s *server) alive() bool {
	select {
	case <-s.done:
		return false
	default:
		return true
	}
}

// pids lists the server's process and its descendants.
func (s *server) pids() []int {
	parent := map[int]int{}
	names, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range names {
		if f := statFields(name); len(f) > 1 {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			parent[pid], _ = strconv.Atoi(f[1])
		}
	}
	var out []int
	for pid := range parent {
		for p := pid; p > 1; p = parent[p] {
			if p == s.pid {
				out = append(out, pid)
				break
			}
		}
	}
	return out
}

// statFields returns the fields of /proc/PID/stat from the third (state) on.
func statFields(path string) []string {
	b, err := os.ReadFile(path)
	i := bytes.LastIndexByte(b, ')')
	if err != nil || i < 0 {
		return nil
	}
	return strings.Fields(string(b[i+1:]))
}

const tick = 10 * time.Millisecond // USER_HZ is 100 on Linux

func (s *server) cpu() (sum time.Duration) {
	for _, pid := range s.pids() {
		if f := statFields(fmt.Sprintf("/proc/%d/stat", pid)); len(f) > 12 {
			u, _ := strconv.Atoi(f[11])
			k, _ := strconv.Atoi(f[12])
			sum += time.Duration(u+k) * tick
		}
	}
	return sum
}

// rss is the proportional set size in bytes, so pages shared between a
// server's processes count once.
func (s *server) rss() (sum int64) {
	for _, pid := range s.pids() {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		for _, line := range strings.Split(string(b), "\n") {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "Pss:" {
				kb, _ := strconv.ParseInt(f[1], 10, 64)
				sum += kb * 1024
			}
		}
	}
	return sum
}

// sockets counts the server's open socket descriptors.
func (s *server) sockets() (n int) {
	for _, pid := range s.pids() {
		dir := fmt.Sprintf("/proc/%d/fd/", pid)
		fds, _ := os.ReadDir(dir)
		for _, fd := range fds {
			if to, _ := os.Readlink(dir + fd.Name()); strings.HasPrefix(to, "socket:") {
				n++
			}
		}
	}
	return n
}

// busy is the time a core spent on anything, interrupts and steal included.
func busy(core int) (sum time.Duration) {
	b, _ := os.ReadFile("/proc/stat")
	for _, line := range strings.Split(string(b), "\n") {
		f := strings.Fields(line)
		if len(f) < 9 || f[0] != "cpu"+strconv.Itoa(core) {
			continue
		}
		for _, i := range []int{1, 2, 3, 6, 7, 8} { // user nice system irq softirq steal
			v, _ := strconv.Atoi(f[i])
			sum += time.Duration(v) * tick
		}
	}
	return sum
}

// waitQuiet waits, no longer than limit, for both cores to be nearly idle.
func waitQuiet(o *options, limit time.Duration) {
	const window = 500 * time.Millisecond
	for end := time.Now().Add(limit); time.Now().Before(end); {
		before := busy(o.serverCPU) + busy(o.clientCPU)
		time.Sleep(window)
		if busy(o.serverCPU)+busy(o.clientCPU)-before < window/5 {
			return
		}
	}
}

func ownCPU() time.Duration {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func threadCPU() time.Duration {
	const threadCPUTime = 3
	var ts syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, threadCPUTime, uintptr(unsafe.Pointer(&ts)), 0)
	return time.Duration(ts.Nano())
}

func load1() float64 {
	b, _ := os.ReadFile("/proc/loadavg")
	v, _ := strconv.ParseFloat(strings.Fields(string(b) + " 0")[0], 64)
	return v
}

// calibrate is the CPU time of one 150-byte send and receive on a loopback
// connection, measured here and now. The speed of a shared machine drifts;
// figures taken at different times can be put on one scale with it.
func calibrate() float64 {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0
	}
	defer l.Close()
	a, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		return 0
	}
	defer a.Close()
	b, err := l.Accept()
	if err != nil {
		return 0
	}
	defer b.Close()
	buf := make([]byte, 150)
	const n = 20000
	before := threadCPU()
	for range n {
		a.Write(buf)
		io.ReadFull(b, buf)
	}
	return (threadCPU() - before).Seconds() * 1e6 / n
}
