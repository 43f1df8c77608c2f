package redisbroker

import (
	"cmp"
	"log/slog"
	"time"
)

// Options configure a Broker or a Journal. Only URL is required.
type Options struct {
	// URL is the address of Redis (see [CheckURL]).
	URL string
	// Key is the key of the Redis Stream. Brokers with the same key share their
	// events; brokers with different keys share nothing. In a cluster it may have a
	// hash tag. Default: "pubsub:events".
	Key string
	// MaxEvents and MaxBytes limit what the stream keeps in Redis: what a process may
	// miss while it is cut off, and what a new one can replay. They are exceeded by a
	// tenth at most. Default: 100,000 and 256 MiB.
	MaxEvents int
	MaxBytes  int64
	// ReplicaEvents and ReplicaBytes limit what each process keeps in memory: events
	// per channel, and bytes over all channels. Default: 1,024 and 64 MiB. A Journal
	// keeps nothing.
	ReplicaEvents, ReplicaBytes int
	// Check returns what is wrong with an event that another program has added to the
	// stream, or nil. Default: any channel and data will do.
	Check func(channel, name string, data []byte) error
	// Logger receives what an operator should know. Default: none.
	Logger *slog.Logger

	timing timing
}

// timing is what tests make shorter.
type timing struct{ publish, start, block, silence, probe, recover time.Duration }

var defaultTiming = timing{
	publish: 1500 * time.Millisecond, // how long a publisher waits for Redis, a probe, and a read that does not block
	start:   5 * time.Second,         // how long Start waits for a Redis that is not there yet
	block:   500 * time.Millisecond,  // how long one read blocks if there are no entries
	silence: 5 * time.Second,         // how long no byte may come in the middle of what is read
	probe:   time.Second,             // between two probes
	recover: 3 * time.Second,         // without any failure, before Err is nil again
}

func (o Options) withDefaults() Options {
	o.Key = cmp.Or(o.Key, "pubsub:events")
	o.MaxEvents = cmp.Or(o.MaxEvents, 100_000)
	o.MaxBytes = cmp.Or(o.MaxBytes, 256<<20)
	o.ReplicaEvents = cmp.Or(o.ReplicaEvents, 1024)
	o.ReplicaBytes = cmp.Or(o.ReplicaBytes, 64<<20)
	o.timing = cmp.Or(o.timing, defaultTiming)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Logger = o.Logger.With("key", o.Key)
	return o
}
