package redisbroker

import (
	"cmp"
	"log/slog"
	"time"
)

// What Options are if they are not set.
const (
	DefaultKey       = "pubsub:events"
	DefaultMaxEvents = 100_000
	DefaultMaxBytes  = 256 << 20

	defaultReplicaEvents = 1024
	defaultReplicaBytes  = 64 << 20
)

// Options are those of a Broker. Only URL is required.
type Options struct {
	// URL is where Redis is (see [CheckURL]).
	URL string
	// Key is that of the Redis Stream. Brokers with the same key share their
	// events, those with others share nothing.
	Key string
	// MaxEvents and MaxBytes are what the stream keeps: what a process may miss
	// while it is cut off, and what a new one can replay. They are exceeded by a
	// tenth at most.
	MaxEvents int
	MaxBytes  int64
	// ReplicaEvents and ReplicaBytes are what each process keeps in memory: events a
	// channel, and bytes over all.
	ReplicaEvents, ReplicaBytes int
	// Check returns what is wrong with an event that another program has added to the
	// stream; nil if it is an event. Default: any channel and data will do.
	Check func(channel, name string, data []byte) error
	// Logger receives what an operator should know. Default: none.
	Logger *slog.Logger

	timing timing
}

// timing is what tests make shorter.
type timing struct {
	publish  time.Duration // how long a publisher waits for Redis, and a probe
	start    time.Duration // how long Start waits for a Redis that is not there yet
	block    time.Duration // how long one read waits for entries
	progress time.Duration // how long no byte may come while an answer is read
	retry    time.Duration // between two attempts to reach Redis, if the first has failed
	probe    time.Duration // between two probes
	failing  time.Duration // reads fail for so long before Err reports it
	recover  time.Duration // without any failure, before Err is nil again
}

var defaultTiming = timing{
	publish:  1500 * time.Millisecond,
	start:    5 * time.Second,
	block:    time.Second,
	progress: 4 * time.Second,
	retry:    200 * time.Millisecond,
	probe:    time.Second,
	failing:  2 * time.Second,
	recover:  3 * time.Second,
}

func (o Options) withDefaults() Options {
	o.Key = cmp.Or(o.Key, DefaultKey)
	o.MaxEvents = cmp.Or(o.MaxEvents, DefaultMaxEvents)
	o.MaxBytes = cmp.Or(o.MaxBytes, DefaultMaxBytes)
	o.ReplicaEvents = cmp.Or(o.ReplicaEvents, defaultReplicaEvents)
	o.ReplicaBytes = cmp.Or(o.ReplicaBytes, defaultReplicaBytes)
	o.timing = cmp.Or(o.timing, defaultTiming)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}
