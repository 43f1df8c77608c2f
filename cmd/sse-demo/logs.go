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
	queue := newLogQueue("stderr", formatted(f, stderr), nil)
	l := &logging{queues: []*logQueue{queue}}
	var out io.Writer = queue
	if file != nil {
		own := newLogQueue("the own log file", file, queue)
		l.queues = append(l.queues, own)
		out = io.MultiWriter(queue, own)
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

// dropped is how many lines could not be written, to either.
func (l *logging) dropped() (n float64) {
	for _, q := range l.queues {
		n += float64(q.dropped.Load())
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
