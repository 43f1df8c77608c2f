package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"example.com/sse-demo/routes"
	"example.com/sse-demo/routes/job"
	"example.com/sse-demo/routes/tail"
	"example.com/sse-demo/sse"
)

// version is set by the linker in releases.
var version = ""

func versionName() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}

// serve runs the service until a signal or the end of ctx, and then ends what it
// has started, in the opposite order.
func serve(ctx context.Context, f *flags, signals <-chan os.Signal, stderr io.Writer) error {
	signal.Ignore(syscall.SIGPIPE) // a log driver that has gone must not end the service
	certificates, err := loadCertificate(f.address)
	if err != nil {
		return err
	}
	listener, err := listen(ctx, f)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }() // Shutdown has done it, but for the errors below

	log, closeLog, err := startLog(f, listener.Addr(), stderr)
	if err != nil {
		return err
	}
	defer closeLog()
	logger := log.Logger
	broker, jobs, closeBroker, err := startBroker(ctx, f, signals, logger)
	if err != nil {
		return err
	}
	defer closeBroker()
	if f.AnswerURL != "" {
		if jobs.Kinds[job.AnswerKind], err = f.answers(); err != nil {
			return fmt.Errorf("--answer-url: %w", err)
		}
	}
	logger.Info().Str("addr", listener.Addr().String()).Str("version", versionName()).Msg("listening")
	logs, stopTails := startTails(ctx, f, logger)
	defer stopTails()

	serveStream, closeStreams := newStreams(len(certificates) > 0)
	defer closeStreams()
	handler, err := routes.New(routes.Config{
		Stream:     sse.Options{Retry: f.Retry, Heartbeat: f.Heartbeat, WriteTimeout: f.WriteTimeout},
		MaxStreams: f.MaxStreams,
		Version:    versionName(),
		Logger:     logger,
		Broker:     broker,
		BrokerKind: f.brokerKind(),
		Jobs:       jobs,
		Logs:       logs,
		Serve:      serveStream,
		Collectors: []prometheus.Collector{droppedLines(log)},

		MaxAge:         f.MaxAge,
		JWTSecret:      []byte(f.JWTSecret),
		JWTAudience:    f.JWTAudience,
		CORSOrigins:    f.CORSOrigin,
		TrustedProxies: f.trustedProxies(),
	})
	if err != nil {
		return err
	}
	server := newServer(handler, certificates)
	server.HTTP2.WriteByteTimeout = sse.MaxPatience * f.WriteTimeout // of a client that stops reading its connection
	server.ErrorLog = stdlog.New(newWarnings(logger), "", 0)
	return serveUntil(ctx, f, server, handler, listener, signals, logger)
}

// startLog returns the logger. Without --log-file it also writes the file that
// /stream/log follows, and adds it to f.LogFile.
func startLog(f *flags, addr net.Addr, stderr io.Writer) (*logging, func(), error) {
	if len(f.LogFile) > 0 {
		log := newLogging(f, stderr, nil)
		return log, log.close, nil
	}
	own, err := openOwnLog(addr)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot write the service's own log file; set TMPDIR, or follow other files with --log-file: %w", err)
	}
	f.LogFile = []logFile{{"sse-demo", own.Filename}}
	log := newLogging(f, stderr, own)
	return log, func() { log.close(); _ = own.Close() }, nil
}

// droppedLines is a metric, because the log itself cannot say it while nobody
// reads it.
func droppedLines(log *logging) prometheus.Collector {
	return prometheus.NewCounterFunc(
		prometheus.CounterOpts{Name: "sse_log_lines_dropped_total", Help: "Log lines that were dropped, because stderr or the own log file did not take them."},
		func() float64 { return float64(log.dropped()) },
	)
}

// startTails follows the log files until stop is called.
func startTails(ctx context.Context, f *flags, logger zerolog.Logger) (logs []routes.LogFile, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	for _, file := range f.LogFile {
		follower := tail.New(file.path, logger) //nolint:contextcheck // Run has the context
		running.Go(func() { follower.Run(ctx) })
		logs = append(logs, routes.LogFile{Name: file.name, Tail: follower})
	}
	return logs, func() { cancel(); running.Wait() }
}

// lastBytes is the time for net/http to send the ends of the last answers. Its own
// Shutdown would wait for five seconds for connections that have brought no request,
// as browsers open them in advance, and for ever for clients that read nothing.
const lastBytes = time.Second

// errForced is returned if a second signal has cut off open requests.
var errForced = errors.New("ended before all requests were")

// serveUntil serves until the end of ctx or a signal, and then gives open
// requests f.ShutdownTimeout. A second signal ends at once.
func serveUntil(
	ctx context.Context, f *flags, server *http.Server, handler *routes.Server, listener net.Listener, signals <-chan os.Signal, logger zerolog.Logger,
) error {
	failed := make(chan error, 1)
	var serving sync.WaitGroup
	serving.Go(func() { failed <- serveOn(listener, server) })
	defer serving.Wait()

	select {
	case err := <-failed:
		return err
	case sig := <-signals:
		logger.Info().Stringer("signal", sig).Msg("shutting down")
	case <-ctx.Done():
		logger.Info().Msg("shutting down")
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.ShutdownTimeout)
	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer cancel()
	waiting.Go(func() {
		select {
		case <-signals:
			cancel()
		case <-grace.Done():
		}
	})
	go handler.Drain()
	err := handler.Wait(grace) // meanwhile requests are still answered, if only to say that the service is draining
	if err == nil {
		sending, stop := context.WithTimeout(grace, lastBytes)
		defer stop()
		_ = server.Shutdown(sending) // whatever it has not ended is closed below
	}
	_ = server.Close()
	switch {
	case errors.Is(err, context.Canceled):
		return errForced
	case err != nil:
		logger.Warn().Err(err).Msg("the shutdown timeout has passed, open requests were cut off")
	default:
		logger.Info().Msg("all requests have ended")
	}
	return nil
}
