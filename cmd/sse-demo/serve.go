package main

import (
	"context"
	"io"
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
	"example.com/sse-demo/sse/eventloop"
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

// serve runs the service until ctx ends, and then ends what it has started, in the
// opposite order.
func serve(ctx context.Context, f *flags, stderr io.Writer) error {
	signal.Ignore(syscall.SIGPIPE) // a log driver that has gone must not end the service
	listener, err := listen(ctx, f)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }() // Shutdown has done it, but for the errors below

	log, err := startLog(f, listener.Addr(), stderr)
	if err != nil {
		return err
	}
	defer log.close()
	logger := log.Logger
	addr := listener.Addr().String() // in the first line of the log, also if that is about a Redis that is not there yet
	back, err := startBackend(ctx, f, logger.With().Str("addr", addr).Logger())
	if err != nil {
		return err
	}
	defer back.close()
	var secret []byte
	if f.JWTSecret != nil {
		secret = []byte(*f.JWTSecret)
	}
	if f.AnswerURL != "" {
		back.jobs.Kinds[job.AnswerKind] = f.answers
	}
	logger.Info().Str("addr", addr).Str("version", versionName()).Msg("listening")
	logs, stopTails := startTails(ctx, f, logger)
	defer stopTails()

	tuneCollector()
	loop := eventloop.New()
	defer loop.Close()
	handler := routes.New(routes.Config{
		Stream:     sse.Options{Retry: f.Retry, Heartbeat: f.Heartbeat, WriteTimeout: f.WriteTimeout},
		MaxStreams: f.MaxStreams,
		Version:    versionName(),
		Logger:     logger,
		Broker:     back.broker,
		BrokerKind: back.kind,
		Jobs:       back.jobs,
		Logs:       logs,
		Serve:      loop.Serve,
		Collectors: []prometheus.Collector{droppedLines(log)},

		MaxAge:         f.MaxAge,
		JWTSecret:      secret,
		JWTAudience:    f.JWTAudience,
		CORSOrigins:    f.CORSOrigin,
		TrustedProxies: f.trustedProxies(),
	})
	server := newServer(handler)
	server.HTTP2.WriteByteTimeout = sse.MaxPatience * f.WriteTimeout // of a client that stops reading its connection
	server.ErrorLog = warnings(logger)
	return serveUntil(ctx, f.ShutdownTimeout, server, handler, listener, logger)
}

// droppedLines is a metric, because the log itself cannot say it while nobody
// reads it.
func droppedLines(log *logging) prometheus.Collector {
	const help = "Log lines that were dropped, because stderr or the own log file did not take them."
	return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "sse_log_lines_dropped_total", Help: help}, log.dropped)
}

// startTails follows the log files until stop is called.
func startTails(ctx context.Context, f *flags, logger zerolog.Logger) (logs []routes.LogFile, stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // until the streams have ended
	var running sync.WaitGroup
	for _, file := range f.LogFile {
		follower := tail.New(file.path, logger) //nolint:contextcheck // Run has the context
		running.Go(func() { follower.Run(ctx) })
		logs = append(logs, routes.LogFile{Name: file.name, Tail: follower})
	}
	return logs, func() { cancel(); running.Wait() }
}

// serveUntil serves until ctx ends, and then gives open requests this long.
func serveUntil(ctx context.Context, timeout time.Duration, server *http.Server, handler *routes.Server, listener net.Listener, logger zerolog.Logger) error {
	failed := make(chan error, 1)
	var serving sync.WaitGroup
	serving.Go(func() { failed <- server.Serve(listener) })
	defer serving.Wait()

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	logger.Info().AnErr("cause", context.Cause(ctx)).Msg("shutting down")
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	if err := shutDown(grace, server, handler); err != nil {
		logger.Warn().Err(err).Msg("the shutdown timeout has passed, open requests were cut off")
		return nil
	}
	logger.Info().Msg("all requests have ended")
	return nil
}

// lastBytes is the time for net/http to send the ends of the last answers. Its own
// Shutdown would wait for five seconds for connections that have brought no request,
// as browsers open them in advance, and for ever for clients that read nothing.
const lastBytes = time.Second

// shutDown ends all requests. If grace ends before, it returns its error, and cuts
// them off.
func shutDown(grace context.Context, server *http.Server, handler *routes.Server) error {
	defer func() { _ = server.Close() }()
	go handler.Drain()
	if err := handler.Wait(grace); err != nil { // meanwhile requests are still answered, if only to say that the service is draining
		return err
	}
	sending, stop := context.WithTimeout(grace, lastBytes)
	defer stop()
	_ = server.Shutdown(sending) // Close ends what it has not ended
	return nil
}

// gcPercent is how much the heap may grow before it is collected, unless GOGC is
// set. With each connection that is taken over from net/http go 8 kB of buffers,
// which do not return to its pools: at the default of 100 the collector would take
// an eighth of the time of short streams.
const gcPercent = 200

func tuneCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
