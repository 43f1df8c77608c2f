package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// stuck takes no line until it is released.
type stuck struct {
	release chan struct{}
	bytes.Buffer
}

func (s *stuck) Write(line []byte) (int, error) {
	<-s.release
	return s.Buffer.Write(line)
}

// TestLogQueueDropsWhenItIsFull: what fits is written in its order, then a line
// says how many were dropped.
func TestLogQueueDropsWhenItIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &stuck{release: make(chan struct{})}
		q := newLogQueue("stderr", out, nil)
		line := []byte(strings.Repeat("x", 1023) + "\n")
		_, _ = q.Write([]byte("first\n"))
		synctest.Wait() // it is being written
		const fit, beyond = maxQueuedLog / 1024, 3
		for range fit + beyond {
			if n, err := q.Write(line); n != len(line) || err != nil {
				t.Error(n, err)
			}
		}
		if n := q.dropped.Load(); n != beyond {
			t.Errorf("%d lines are dropped", n)
		}
		close(out.release)
		synctest.Wait()
		_, _ = q.Write([]byte("last\n"))
		q.close()
		lines := strings.SplitAfter(out.String(), "\n")
		if len(lines) != fit+4 || lines[0] != "first\n" || lines[fit] != string(line) || !strings.Contains(lines[fit+1], `"lines":3,"message":"log lines were dropped`) || lines[fit+2] != "last\n" {
			t.Errorf("%d lines, the last are %q", len(lines), lines[max(0, len(lines)-5):])
		}
	})
}

// TestLogQueueIsClosed: close writes what is queued, and gives up a stuck writer.
func TestLogQueueIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		q := newLogQueue("stderr", &out, nil)
		for i := range 1000 {
			_, _ = fmt.Fprintf(q, "%d\n", i)
		}
		q.close()
		if !strings.HasSuffix(out.String(), "\n998\n999\n") || strings.Count(out.String(), "\n") != 1000 {
			t.Error(out.String())
		}

		blocked := &stuck{release: make(chan struct{})}
		q = newLogQueue("stderr", blocked, nil)
		_, _ = q.Write([]byte("a\n"))
		began := time.Now()
		q.close()
		if took := time.Since(began); took != flushTimeout {
			t.Errorf("close took %v", took)
		}
		close(blocked.release)
	})
}

// fullDisk takes no bytes while it is full.
type fullDisk struct {
	bytes.Buffer
	full bool
}

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.full {
		return 0, syscall.ENOSPC
	}
	return d.Buffer.Write(p)
}

// TestOwnLogOnAFullDisk: stderr has every line, and one for each time that the
// disk was full.
func TestOwnLogOnAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stderr bytes.Buffer
		var disk fullDisk
		log := newLogging(&flags{LogFormat: "json"}, &stderr, &disk)
		for i := range 6 {
			disk.full = i == 2 || i == 3 || i == 5
			log.Info().Int("n", i).Msg("line")
			synctest.Wait()
		}
		log.close()
		if n := strings.Count(stderr.String(), `"error":"no space left on device","message":"cannot write the own log file`); n != 2 {
			t.Errorf("%d complaints in %s", n, &stderr)
		}
		if n := strings.Count(stderr.String(), `"n":`); n != 6 || strings.Count(disk.String(), `"n":`) != 3 || log.dropped() != 3 {
			t.Errorf("%s\n%s", &stderr, &disk)
		}
	})
}

// TestLogsAreWhole: with both queues, in both formats, every line arrives.
func TestLogsAreWhole(t *testing.T) {
	for format, want := range map[string]string{"json": `"n":999`, "console": "n=999"} {
		var stderr, file bytes.Buffer
		log := newLogging(&flags{LogFormat: format, LogLevel: logLevel{zerolog.InfoLevel}}, &stderr, &file)
		var logging sync.WaitGroup
		for range 4 {
			logging.Go(func() {
				for i := range 1000 {
					log.Info().Int("n", i).Msg("line")
				}
			})
		}
		logging.Wait()
		log.close()
		for _, queue := range log.queues {
			<-queue.done // close does not wait for a slow machine
		}
		if strings.Count(stderr.String(), "\n") != 4000 || strings.Count(stderr.String(), want) != 4 || strings.Count(file.String(), `"n":999,`) != 4 || log.dropped() != 0 {
			t.Errorf("%s: %d and %d lines, %v dropped", format, strings.Count(stderr.String(), "\n"), strings.Count(file.String(), "\n"), log.dropped())
		}
	}
}

// TestNobodyReadsStderr: streams, requests and the shutdown do not wait for a pipe
// that nobody reads, and the service's own log file has every line.
func TestNobodyReadsStderr(t *testing.T) {
	t.Parallel()
	const streams = 1000 // each logs two lines; the pipe is full after some 200
	dir := t.TempDir()
	p, stderr := startUnread(t, "TMPDIR="+dir)
	for range streams {
		if body := p.get("/stream/tick?wait=0"); !strings.Contains(body, "event: tick\n") {
			t.Fatalf("a stream ends with %q", body)
		}
	}
	if err := p.publish("1"); err != nil {
		t.Error(err)
	}
	if metrics := p.get("/metrics"); !strings.Contains(metrics, "\nsse_log_lines_dropped_total 0\n") {
		t.Error("/metrics does not count dropped lines")
	}
	p.signal(syscall.SIGTERM)
	p.ends(0)
	files, err := filepath.Glob(dir + "/sse-demo-*/*.log")
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	own, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(own, []byte("stream ended")); n != streams || !bytes.Contains(own, []byte("all requests have ended")) {
		t.Errorf("the own log file has %d of %d streams", n, streams)
	}
	rest, err := io.ReadAll(stderr)
	if n := bytes.Count(rest, []byte("stream ended")); err != nil || n == 0 || n == streams {
		t.Errorf("the pipe was never full: it has %d streams, %v", n, err)
	}
}

// TestStderrIsClosed: a log driver that has gone ends no stream, and its lines are
// counted.
func TestStderrIsClosed(t *testing.T) {
	p, stderr := startUnread(t)
	_ = stderr.Close()
	if body := p.get("/stream/tick?wait=0"); !strings.Contains(body, "event: tick\n") {
		t.Error(body)
	}
	p.eventually("lines are counted", func() bool { return p.gauge("sse_log_lines_dropped_total") > 0 })
	p.signal(syscall.SIGTERM)
	p.ends(0)
}

// startUnread starts the program on a pipe of which nobody reads more than the
// first line.
func startUnread(t *testing.T, env ...string) (*program, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := programCommand(t, env, "--addr", "127.0.0.1:0", "--shutdown-timeout", "1h")
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	p := &program{T: t, cmd: cmd, stderr: &lines{}, exited: make(chan struct{})}
	go func() { defer close(p.exited); _ = cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.exited
		_ = r.Close()
	})
	var line []byte
	for one := make([]byte, 1); !bytes.HasSuffix(line, []byte("\n")); line = append(line, one...) {
		if _, err := r.Read(one); err != nil {
			t.Fatal(err)
		}
	}
	p.addr = addrIn(t, string(line))
	return p, r
}

// TestErrorOnAStuckStderr: the program ends with its status even if it cannot say
// why.
func TestErrorOnAStuckStderr(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	fill(t, w)
	taken := listenAnywhere(t)
	defer func() { _ = taken.Close() }()
	cmd := programCommand(t, nil, "--addr", taken.Addr().String())
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	ended := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer ended.Stop()
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Error(err)
	}
}

// fill writes to a pipe until it is full.
func fill(t *testing.T, w *os.File) {
	t.Helper()
	if err := w.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := w.Write(make([]byte, 4096)); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
			break
		}
	}
}
