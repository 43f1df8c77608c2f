package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/pubsub/filebroker"
	"example.com/sse-demo/pubsub/redisbroker"
	"example.com/sse-demo/routes"
	"example.com/sse-demo/routes/job"
)

// Keys in Redis. Jobs have another stream than channels, so that no job shortens the
// history of a channel. The hash tag puts both into one slot of a cluster.
const (
	channelsKey = "{sse-demo}:events"
	jobsKey     = "{sse-demo}:jobs"
)

// What jobs keep in Redis.
const (
	jobsMaxEvents = 1_000_000 // each piece of an answer may be one
	jobsMaxBytes  = 64 << 20
)

// startBroker returns the broker of the channels and the manager of the jobs, which
// has a journal, until stop is called. A signal ends a start that takes long.
func startBroker(ctx context.Context, f *flags, signals <-chan os.Signal, logger zerolog.Logger) (_ pubsub.Broker, _ *job.Manager, stop func(), _ error) {
	switch {
	case f.DataFile != "":
		return startFile(ctx, f, logger)
	case f.RedisURL == "":
		jobs := job.NewManager(logger, job.NewJournal())
		return pubsub.NewMemory(f.History, int(f.HistoryBytes)), jobs, jobs.Close, nil
	}
	redis.SetLogger(redisLogger{logger})
	options := redisbroker.Options{
		URL: f.RedisURL, Key: channelsKey, MaxEvents: f.RedisHistory, MaxBytes: int64(f.RedisHistoryBytes),
		ReplicaEvents: f.History, ReplicaBytes: int(f.HistoryBytes), Check: routes.CheckEvent,
		Logger: slog.New(zerolog.NewSlogHandler(logger)),
	}
	channels, err := redisbroker.New(options)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("--redis-url: %w", err)
	}
	options.Key, options.MaxEvents, options.MaxBytes, options.Check = jobsKey, jobsMaxEvents, jobsMaxBytes, nil
	journal, err := redisbroker.NewJournal(options)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("--redis-url: %w", err)
	}
	jobs := job.NewManager(logger, journal) // before it is loaded: the manager observes all of it
	stop = func() { jobs.Close(); journal.Close(); channels.Close() }
	if err := startUntilSignal(ctx, signals, channels, journal); err != nil {
		stop()
		return nil, nil, nil, fmt.Errorf("--redis-url: %w", err)
	}
	return channels, jobs, stop, nil
}

// startFile keeps channels and jobs in the data file.
func startFile(ctx context.Context, f *flags, logger zerolog.Logger) (_ pubsub.Broker, _ *job.Manager, stop func(), _ error) {
	file, err := filebroker.Open(f.DataFile, f.History, int(f.HistoryBytes))
	if err != nil {
		return nil, nil, nil, fmt.Errorf("--data-file %w", err)
	}
	jobs := job.NewManager(logger, file.Journal()) // before the journal is read: the manager observes all of it
	stop = func() {
		jobs.Close()
		if err := file.Close(); err != nil {
			logger.Error().Err(err).Msg("closing the data file")
		}
	}
	if err := file.Start(); err != nil {
		stop()
		return nil, nil, nil, fmt.Errorf("--data-file: %w", err)
	}
	jobs.EndInterrupted(ctx)
	return file, jobs, stop, nil
}

// brokerKind is the broker's name in /health.
func (f *flags) brokerKind() string {
	switch {
	case f.RedisURL != "":
		return "redis"
	case f.DataFile != "":
		return "file"
	default:
		return "memory"
	}
}

// A starter is a redisbroker.Broker or a redisbroker.Journal.
type starter interface {
	Start(ctx context.Context) error
}

// errInterrupted is returned if a signal has ended the start.
var errInterrupted = errors.New("a signal came while the history was loaded")

// startUntilSignal starts the broker and the journal. A large history may take long to load; a
// signal ends that.
func startUntilSignal(ctx context.Context, signals <-chan os.Signal, streams ...starter) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-signals:
			cancel(errInterrupted)
		case <-ctx.Done():
		}
	})
	var err error
	for _, stream := range streams {
		if err == nil {
			err = stream.Start(ctx)
		}
	}
	cancel(nil)
	watching.Wait()
	if errors.Is(context.Cause(ctx), errInterrupted) {
		return errInterrupted
	}
	return err
}

// redisLogger receives what go-redis has to say, which the brokers say better.
type redisLogger struct{ zerolog.Logger }

// Printf implements go-redis's logger.
func (l redisLogger) Printf(_ context.Context, format string, v ...any) {
	l.Debug().Msgf("go-redis: "+format, v...)
}
