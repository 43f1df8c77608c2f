package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
	"gopkg.in/natefinch/lumberjack.v2"
)

// The service's own log file is rotated, and its past kept, at these.
const (
	ownLogMegabytes = 10
	ownLogBackups   = 2
)

// newLogger logs to stderr, and to file as JSON where that is not nil.
func newLogger(f *flags, stderr io.Writer, file io.Writer) zerolog.Logger {
	zerolog.TimeFieldFormat = zerolog.TimeFormatUnixMs
	out := stderr
	terminal, isFile := stderr.(*os.File)
	if f.LogFormat == "console" || f.LogFormat == "auto" && isFile && isatty.IsTerminal(terminal.Fd()) {
		out = zerolog.ConsoleWriter{Out: stderr, TimeFormat: "15:04:05.000", NoColor: !isFile || !isatty.IsTerminal(terminal.Fd())}
	}
	if file != nil {
		out = zerolog.MultiLevelWriter(out, &optional{file: file, stderr: stderr})
	}
	return zerolog.New(out).Level(f.LogLevel).With().Timestamp().Logger()
}

// optional is a log file that the service can do without: where its disk is full,
// stderr says so once, and still has every line.
type optional struct {
	file, stderr io.Writer
	failing      atomic.Bool // zerolog writes from many goroutines
}

func (o *optional) Write(line []byte) (int, error) {
	_, err := o.file.Write(line)
	if was := o.failing.Swap(err != nil); err != nil && !was {
		_, _ = fmt.Fprintf(o.stderr, "sse-demo: cannot write the service's own log file, going on without: %v\n", err)
	}
	return len(line), nil
}

// openOwnLog returns the service's own log file, in a folder of the user's in the
// temporary directory. Its name has the port, so that it is the same after a
// restart and another one for a second service.
func openOwnLog(addr net.Addr) (*lumberjack.Logger, error) {
	_, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("sse-demo-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	own := &lumberjack.Logger{
		Filename:   filepath.Join(dir, "sse-demo-"+port+".log"),
		MaxSize:    ownLogMegabytes,
		MaxBackups: ownLogBackups,
	}
	_, err = own.Write(nil) // opens it, or says why not
	return own, err
}
