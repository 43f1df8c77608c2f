package redisbroker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/sse-demo/pubsub"
)

// retryInterval is the time between two attempts to reach Redis, if the first has failed.
const retryInterval = 200 * time.Millisecond

// A stream is a Redis Stream that this process writes to and follows. Broker and
// Journal differ in what they do with its entries.
type stream struct {
	options  Options
	redis    redis.UniversalOptions
	commands redis.UniversalClient // to publish, and for whatever is answered at once
	reads    redis.UniversalClient // to follow the stream
	health   health
	arrivals arrivals
	stop     context.CancelFunc
	done     sync.WaitGroup

	append     func(entry) (delivered int, err error)
	loseBefore func(pubsub.ID)

	unchecked atomic.Bool // reads has a new connection; Redis may have lost events

	// Only the goroutine that follows the stream uses these.
	total    int64     // of the sizes of all entries up to the last; -1 if it is not known
	others   int64     // of which entries after the last one with a total
	count    int64     // entries that the next read asks for
	suspect  pubsub.ID // an entry that was read, and that Redis may have lost; 0-0 for none
	lost     pubsub.ID // subscribers know that events before it may be missing
	skipped  int       // entries that were not events
	lastSkip time.Time // when that was logged
}

// newStream returns a stream that passes its entries to append, in order, and calls
// loseBefore if entries before an id may be missing.
func newStream(o Options, append func(entry) (delivered int, err error), loseBefore func(pubsub.ID)) (*stream, error) {
	redis, err := parseURL(o.URL)
	if err != nil {
		return nil, fmt.Errorf("redisbroker: %w", err)
	}
	s := &stream{
		options: o, redis: redis, append: append, loseBefore: loseBefore, stop: func() {},
		arrivals: arrivals{more: make(chan struct{})},
		total:    -1, count: 1,
	}
	s.connect()
	return s, nil
}

// connect makes the clients. They connect when they are used.
func (s *stream) connect() {
	t := s.options.timing
	s.commands = newClient(s.redis, t.publish, 0, func() {})
	s.reads = newClient(s.redis, t.block+t.publish, t.silence, func() { s.unchecked.Store(true) })
}

// Start loads what Redis keeps, and then follows it until Close. It waits a few seconds for
// a Redis that is not there yet; while entries come, loading may take any time, over as many
// connections as it needs.
func (s *stream) Start(ctx context.Context) error {
	if err := s.persist(ctx); err != nil {
		return fmt.Errorf("cannot use Redis at %s with the key %s: %w", address(s.redis), s.options.Key, plain(err))
	}
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.done.Go(func() { s.follow(ctx) })
	s.done.Go(func() { s.watch(ctx) })
	return nil
}

// persist loads until that succeeds, or has failed for too long while no entries came.
func (s *stream) persist(ctx context.Context) error {
	for progress, isFirst := time.Now(), true; ; isFirst = false {
		last, attempt := s.arrivals.position(), time.Now()
		err := s.load(ctx)
		if s.arrivals.position() != last {
			progress = time.Now()
		}
		if err == nil || !isTransient(err) || attempt.Sub(progress) > s.options.timing.start {
			return err
		}
		if isFirst {
			s.options.Logger.Warn("cannot use Redis yet; trying again for some seconds", "redis", address(s.redis), "error", plain(err))
		}
		if !pause(ctx, retryInterval) {
			return err
		}
	}
}

// unsupported is what is wrong with a Redis that cannot be used. It counts as a refusal.
type unsupported string

func (u unsupported) Error() string { return string(u) }
func (unsupported) RedisError()     {}

// inspect finds out whether Redis can be used, and whether it is a cluster.
func (s *stream) inspect(ctx context.Context) error {
	cmd := redis.NewMapStringInterfaceCmd(ctx, "hello") // every user may use it
	_ = s.commands.Process(ctx, cmd)                    // cmd has the error
	hello, err := cmd.Result()
	version := fmt.Sprint(hello["version"])
	switch {
	case err != nil && strings.Contains(err.Error(), "unknown command"):
		return unsupported("it is older than version 6; 6.2 or later is needed")
	case err != nil:
		return err
	case isTooOld(version):
		return unsupported("it is version " + version + "; 6.2 or later is needed")
	case hello["mode"] != "cluster" || s.redis.IsClusterMode:
		return nil
	case s.redis.DB != 0:
		return unsupported("it is a cluster, which has the database 0 only")
	}
	_, _ = s.reads.Close(), s.commands.Close()
	s.redis.IsClusterMode = true
	s.connect()
	return nil
}

// isTooOld reports whether a version is before 6.2, the first with exclusive ranges. A text
// that is no version is not.
func isTooOld(version string) bool {
	var major, minor int
	n, _ := fmt.Sscanf(version, "%d.%d", &major, &minor)
	return n == 2 && (major < 6 || major == 6 && minor < 2)
}

// load takes everything that the stream keeps after the last entry that was read.
func (s *stream) load(ctx context.Context) error {
	if err := s.inspect(ctx); err != nil {
		return err
	}
	for {
		n, err := s.read(ctx, -1)
		if err == nil && n == 0 {
			if s.arrivals.position() != (pubsub.ID{}) {
				return nil
			}
			_, err = s.run(ctx, s.reads, checkScript, "0-0") // an empty stream gets an entry to read on from
		}
		if err != nil {
			return err
		}
	}
}

// Close stops following. Nothing may be published any more.
func (s *stream) Close() {
	s.stop()
	_, _ = s.reads.Close(), s.commands.Close() // the first interrupts a read
	s.done.Wait()
}

// publish appends an event and waits until this process has read it, for less than two
// seconds.
func (s *stream) publish(ctx context.Context, channel, name string, data []byte) (pubsub.Receipt, error) {
	limited, cancel := context.WithTimeout(ctx, s.options.timing.publish)
	defer cancel()
	sent := &sentData{data: data}
	id, err := s.run(limited, s.commands, appendScript, channel, name, sent)
	if err != nil {
		cause := pubsub.ErrUnconfirmed
		if isRefusal(err) {
			s.note(err)
		}
		if isRefusal(err) || !sent.sent.Load() {
			cause = pubsub.ErrNotPublished
		}
		return pubsub.Receipt{}, fmt.Errorf("%w: %w", cause, plain(err))
	}
	delivered, isLost, err := s.arrivals.await(limited, id)
	if err != nil {
		return pubsub.Receipt{}, fmt.Errorf("%w: Redis has it, but %w", pubsub.ErrUnconfirmed, plain(err))
	}
	if isLost {
		return pubsub.Receipt{}, fmt.Errorf("%w: Redis had it, and has lost it", pubsub.ErrUnconfirmed)
	}
	return pubsub.Receipt{ID: id, Delivered: delivered}, nil
}

// isTransient reports whether waiting may help: the connection failed, or Redis
// refuses for a reason that passes.
func isTransient(err error) bool {
	code, _, _ := strings.Cut(err.Error(), " ")
	passes := []string{"LOADING", "READONLY", "MASTERDOWN", "OOM", "MISCONF", "NOREPLICAS", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK"}
	return !isRefusal(err) || slices.Contains(passes, code)
}

// pause waits, and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
