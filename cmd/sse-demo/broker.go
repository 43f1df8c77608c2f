package main

import (
	"context"
	"fmt"
	"log/slog"

	redislog "github.com/redis/go-redis/v9/logging"
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

// A backend keeps the events of channels and jobs.
type backend struct {
	kind   string // as /health names it
	broker pubsub.Broker
	jobs   *job.Manager
	close  func()
}

// startBackend returns when all that was kept is loaded, which may take long, or when
// ctx ends.
func startBackend(ctx context.Context, f *flags, logger zerolog.Logger) (*backend, error) {
	switch {
	case f.RedisURL != "":
		return startRedis(ctx, f, logger)
	case f.DataFile != "":
		return startFile(ctx, f, logger)
	}
	jobs := job.NewManager(logger, job.NewJournal())
	return &backend{"memory", pubsub.NewMemory(f.History, int(f.HistoryBytes)), jobs, jobs.Close}, nil
}

func startRedis(ctx context.Context, f *flags, logger zerolog.Logger) (*backend, error) {
	redislog.Disable() // what go-redis has to say, the brokers say better
	options := redisbroker.Options{
		URL: f.RedisURL, Key: channelsKey, MaxEvents: f.RedisHistory, MaxBytes: int64(f.RedisHistoryBytes),
		ReplicaEvents: f.History, ReplicaBytes: int(f.HistoryBytes), Check: routes.CheckEvent,
		Logger: slog.New(zerolog.NewSlogHandler(logger)),
	}
	channels, err := redisbroker.New(options)
	if err != nil {
		return nil, fmt.Errorf("--redis-url: %w", err)
	}
	options.Key, options.MaxEvents, options.MaxBytes, options.Check = jobsKey, jobsMaxEvents, jobsMaxBytes, nil
	journal, err := redisbroker.NewJournal(options)
	if err != nil {
		return nil, fmt.Errorf("--redis-url: %w", err)
	}
	jobs := job.NewManager(logger, journal) // before it is loaded: the manager observes all of it
	stop := func() { jobs.Close(); journal.Close(); channels.Close() }
	if err = channels.Start(ctx); err == nil {
		err = journal.Start(ctx)
	}
	if err != nil {
		stop()
		return nil, startError(ctx, "--redis-url", err)
	}
	return &backend{"redis", channels, jobs, stop}, nil
}

// startFile keeps channels and jobs in the data file.
func startFile(ctx context.Context, f *flags, logger zerolog.Logger) (*backend, error) {
	file := filebroker.New(f.DataFile, f.History, int(f.HistoryBytes))
	jobs := job.NewManager(logger, file.Journal()) // before it is loaded: the manager observes all of it
	stop := func() {
		jobs.Close()
		if err := file.Close(); err != nil {
			logger.Error().Err(err).Msg("closing the data file")
		}
	}
	if err := file.Start(ctx); err != nil {
		stop()
		return nil, startError(ctx, "--data-file", err)
	}
	jobs.EndInterrupted(ctx)
	return &backend{"file", file, jobs, stop}, nil
}

func startError(ctx context.Context, flag string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("ended while the history was loaded: %w", context.Cause(ctx))
	}
	return fmt.Errorf("%s: %w", flag, err)
}
