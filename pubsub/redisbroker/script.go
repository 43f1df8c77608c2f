package redisbroker

import (
	"context"
	_ "embed" // the scripts
	"fmt"
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

// Both scripts return the id of an entry.
var (
	appendScript = newScript(trimLua + appendLua)
	probeScript  = newScript(trimLua + probeLua)
)

type script struct{ source, hash string }

func newScript(source string) script { return script{source, redis.NewScript(source).Hash()} }

// add appends an entry, with an id above all that this process has read.
func (s *stream) add(ctx context.Context, client redis.UniversalClient, channel, name string, data *sentData) (pubsub.ID, error) {
	last := s.arrivals.position()
	return s.run(ctx, client, appendScript, last[0], last[1], channel, name, data)
}

// tryToStore returns the id of the newest entry.
func (s *stream) tryToStore(ctx context.Context) (pubsub.ID, error) {
	return s.run(ctx, s.commands, probeScript)
}

// run runs a script, which Redis may not know yet.
func (s *stream) run(ctx context.Context, client redis.UniversalClient, script script, args ...any) (pubsub.ID, error) {
	do := func(command, script string) (string, error) {
		cmd := once{redis.NewCmd(ctx, append([]any{command, script, 1, s.options.Key, s.options.MaxEvents, s.options.MaxBytes}, args...)...)}
		_ = client.Process(ctx, cmd) // cmd has the error
		return cmd.Text()
	}
	text, err := do("evalsha", script.hash)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		text, err = do("eval", script.source)
	}
	if err != nil {
		return pubsub.ID{}, err
	}
	id, ok := pubsub.ParseID(text)
	if !ok {
		return pubsub.ID{}, fmt.Errorf("an entry has the id %q", text)
	}
	return id, nil
}

// once is a command that a client does not send again after its answer was lost.
type once struct{ *redis.Cmd }

// NoRetry is asked by the client of a cluster, which otherwise repeats commands.
func (once) NoRetry() bool { return true }

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
