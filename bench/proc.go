package main

import (
	"bytes"
	"fmt"
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

// The cores: servers, and Redis, share the first; the generator has the second.
const serverCore, clientCore = 0, 1

// process is one server in its own process group, with whatever processes it
// starts itself.
type process struct {
	cmd  *exec.Cmd
	port int
	pid  int
	done chan struct{}
}

// startProcess runs a command on the servers' core until it listens on port.
func startProcess(name, command string, port int, env map[string]string) (*process, error) {
	address := "127.0.0.1:" + strconv.Itoa(port)
	if listens(address) {
		return nil, fmt.Errorf("something already listens on %s", address)
	}
	log, err := os.Create(filepath.Join(os.TempDir(), fmt.Sprintf("bench-%s-%d.log", name, port)))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	p := &process{port: port, done: make(chan struct{})}
	p.cmd = exec.Command("taskset", "-c", strconv.Itoa(serverCore), "sh", "-c", "exec "+command)
	p.cmd.Env = os.Environ()
	for key, value := range env {
		p.cmd.Env = append(p.cmd.Env, key+"="+value)
	}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.pid = p.cmd.Process.Pid
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		select {
		case <-p.done:
			return nil, fmt.Errorf("%s ended at its start, see %s", name, log.Name())
		case <-time.After(20 * time.Millisecond):
		}
		if listens(address) {
			return p, nil
		}
	}
	p.stop()
	return nil, fmt.Errorf("%s does not listen on %s, see %s", name, address, log.Name())
}

func listens(address string) bool {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

func (p *process) stop() {
	_ = syscall.Kill(-p.pid, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(time.Second):
	}
	_ = syscall.Kill(-p.pid, syscall.SIGKILL) // what is left of the group
	<-p.done
}

func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// pids lists the server's process and its descendants.
func (p *process) pids() []int {
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
		for ancestor := pid; ancestor > 1; ancestor = parent[ancestor] {
			if ancestor == p.pid {
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

// cpu is the processor time that the process has taken, to the microsecond:
// /proc/PID/stat would round it to 10 ms.
func (p *process) cpu() (sum time.Duration) {
	for _, pid := range p.pids() {
		const schedClock = 2 // of the process, as clock_getcpuclockid(3) makes it
		sum += clock(^pid<<3 | schedClock)
	}
	return sum
}

// rss is the proportional set size in bytes, so pages shared between a
// server's processes count once.
func (p *process) rss() (sum int64) {
	for _, pid := range p.pids() {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		for line := range strings.SplitSeq(string(b), "\n") {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "Pss:" {
				kb, _ := strconv.ParseInt(f[1], 10, 64)
				sum += kb * 1024
			}
		}
	}
	return sum
}

// kernelMemory is what the sockets of TCP hold on this machine, in bytes.
func kernelMemory() (bytes int64) {
	b, _ := os.ReadFile("/proc/net/sockstat")
	_, rest, _ := strings.Cut(string(b), "\nTCP:")
	_, rest, _ = strings.Cut(rest, " mem ")
	rest, _, _ = strings.Cut(rest, "\n")
	pages, _ := strconv.ParseInt(rest, 10, 64)
	return pages * int64(os.Getpagesize())
}

// sockets counts the server's open socket descriptors.
func (p *process) sockets() (n int) {
	for _, pid := range p.pids() {
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
	for line := range strings.SplitSeq(string(b), "\n") {
		f := strings.Fields(line)
		if len(f) < 9 || f[0] != "cpu"+strconv.Itoa(core) {
			continue
		}
		for _, i := range []int{1, 2, 3, 6, 7, 8} { // user nice system irq softirq steal
			v, _ := strconv.Atoi(f[i])
			sum += time.Duration(v) * 10 * time.Millisecond // USER_HZ is 100
		}
	}
	return sum
}

// waitQuiet waits, no longer than limit, for both cores to be nearly idle.
func waitQuiet(limit time.Duration) {
	const window = 300 * time.Millisecond
	for end := time.Now().Add(limit); time.Now().Before(end); {
		before := busy(serverCore) + busy(clientCore)
		time.Sleep(window)
		if busy(serverCore)+busy(clientCore)-before < window/5 {
			return
		}
	}
}

const threadClock = 3 // CLOCK_THREAD_CPUTIME_ID

func threadCPU() time.Duration { return clock(threadClock) }

func clock(id int) time.Duration {
	var ts syscall.Timespec
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, uintptr(id), uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return 0
	}
	return time.Duration(ts.Nano())
}
