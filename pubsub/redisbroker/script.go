package redisbroker

import (
	"context"
	_ "embed" // the scripts
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"example.com/sse-demo/pubsub"
)

//go:embed trim.lua
var trimLua string

//go:embed append.lua
var appendLua string

//go:embed probe.lua
var probeLua string

var (
	appendScript = newScript(trimLua + appendLua)
	probeScript  = newScript(trimLua + probeLua)
)

type script struct{ source, hash string }

func newScript(source string) script { return script{source, redis.NewScript(source).Hash()} }

// once is a command that a client does not send again after its answer was lost.
type once struct{ *redis.Cmd }

// NoRetry is asked by the client of a cluster, which otherwise repeats commands.
func (once) NoRetry() bool { return true }

// run runs a script, which Redis may not know yet.
func run(ctx context.Context, client redis.UniversalClient, script script, key string, args ...any) (string, error) {
	cmd := once{redis.NewCmd(ctx, append([]any{"evalsha", script.hash, 1, key}, args...)...)}
	err := client.Process(ctx, cmd)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		cmd = once{redis.NewCmd(ctx, append([]any{"eval", script.source, 1, key}, args...)...)}
		err = client.Process(ctx, cmd)
	}
	if err != nil {
		return "", err
	}
	return cmd.Text()
}

// Fields of an entry of the stream.
const (
	totalField   = "t" // running total of the sizes of all entries up to this one
	channelField = "c"
	nameField    = "n"
	dataField    = "d"
)

// size is what an entry with so many bytes in its fields counts; trim.lua has the same
// formula.
func size(bytes int64) int64 { return 32 + bytes + bytes/4 + min(bytes/6, 340) }

// sentData is the data of an event, which notes that it was written to a
// connection: from then on Redis may have it.
type sentData struct {
	data []byte
	sent atomic.Bool
}

// MarshalBinary is called by go-redis when it writes the command.
func (s *sentData) MarshalBinary() ([]byte, error) {
	s.sent.Store(true)
	return s.data, nil
}

// add appends an entry with an id above after.
func (s *stream) add(ctx context.Context, client redis.UniversalClient, after pubsub.ID, channel, name string, data *sentData) (string, error) {
	return run(ctx, client, appendScript, s.options.Key, s.options.MaxEvents, s.options.MaxBytes, after[0], after[1], channel, name, data)
}

// probe returns nil if a publish would succeed at present: an event can be stored, and
// this process reads in time what is stored.
func (s *stream) probe(ctx context.Context) error {
	newest, err := s.tryToStore(ctx)
	if err != nil {
		relocate(ctx, s.commands)
		return err
	}
	return s.arrivals.awaitPosition(ctx, newest)
}

// tryToStore returns the id of the newest entry.
func (s *stream) tryToStore(ctx context.Context) (string, error) {
	return run(ctx, s.commands, probeScript, s.options.Key, s.options.MaxEvents, s.options.MaxBytes)
}
