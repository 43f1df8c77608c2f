package main

import (
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"os"
	"slices"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
)

// logging is the service's logger and the queues behind it.
type logging struct {
	zerolog.Logger
	queues []*logQueue
}

// startLog returns the service's logger. Without --log-file it also writes the file
// that /stream/log follows, and adds it to f.LogFile.
func startLog(f *flags, addr net.Addr, stderr io.Writer) (*logging, error) {
	if len(f.LogFile) > 0 {
		return newLogging(f, stderr, nil), nil
	}
	own, err := openOwnLog(addr)
	if err != nil {
		return nil, fmt.Errorf("cannot write the service's own log file; set TMPDIR, or follow other files with --log-file: %w", err)
	}
	f.LogFile = []logFile{{"sse-demo", own.Filename}}
	return newLogging(f, stderr, own), nil
}

// newLogging logs to stderr and, if file is not nil, as JSON to file. To be ended
// by close.
func newLogging(f *flags, stderr, file io.Writer) *logging {
	zerolog.TimeFieldFormat = zerolog.TimeFormatUnixMs
	zerolog.ErrorHandler = func(error) {} // a queue counts what could not be written
	l := &logging{}
	out := l.queue("stderr", formatted(f, stderr))
	if file != nil {
		own := &optional{file: file, stderr: out}
		out = zerolog.MultiLevelWriter(out, l.queue("the own log file", own))
	}
	l.Logger = zerolog.New(out).Level(f.LogLevel.Level).With().Timestamp().Logger()
	return l
}

// formatted is stderr in the format that the flags ask for.
func formatted(f *flags, stderr io.Writer) io.Writer {
	file, isFile := stderr.(*os.File)
	isTerminal := isFile && isatty.IsTerminal(file.Fd())
	if f.LogFormat == "console" || f.LogFormat == "auto" && isTerminal {
		return zerolog.ConsoleWriter{Out: stderr, TimeFormat: "15:04:05.000", NoColor: !isTerminal}
	}
	return stderr
}

func (l *logging) queue(name string, out io.Writer) io.Writer {
	q := newLogQueue(name, out)
	l.queues = append(l.queues, q)
	return q
}

// dropped is how many lines could not be written, to either.
func (l *logging) dropped() (n int64) {
	for _, q := range l.queues {
		n += q.dropped.Load()
	}
	return n
}

// close writes the lines that are queued. The file comes first, because it may still
// have something to report on stderr.
func (l *logging) close() {
	for _, q := range slices.Backward(l.queues) {
		q.close()
	}
}

// optional is a log file that the service can do without: if its disk is full,
// stderr says so once, and still has every line.
type optional struct {
	file, stderr io.Writer
	failing      bool
}

func (o *optional) Write(line []byte) (int, error) {
	n, err := o.file.Write(line)
	if err != nil && !o.failing {
		logger := zerolog.New(o.stderr)
		logger.Error().Timestamp().Err(err).Msg("cannot write the service's own log file, going on without")
	}
	o.failing = err != nil
	return n, err
}

// Clients cause most of what net/http logs, such as a line for each bad TLS handshake,
// so only some of it is written.
const (
	maxWarnings    = 10 // in each warningsPeriod
	warningsPeriod = time.Minute
)

// warnings is the log for net/http.
func warnings(logger zerolog.Logger) *log.Logger {
	some := logger.Sample(&zerolog.BurstSampler{Burst: maxWarnings, Period: warningsPeriod})
	return slog.NewLogLogger(zerolog.NewSlogHandler(some), slog.LevelWarn)
}
