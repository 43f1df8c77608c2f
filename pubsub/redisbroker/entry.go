package redisbroker

import (
	"context"
	_ "embed" // the scripts
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"example.com/sse-demo/pubsub"
)

// Fields of an entry of the stream.
const (
	totalField   = "t" // running total of the sizes of all entries up to this one, and its id: 1234@1763683200000-0
	channelField = "c"
	nameField    = "n"
	dataField    = "d"
)

// anchorChannel is the channel of entries that hold no event. Publish refuses it. If the
// data is an id, events up to it were lost.
const anchorChannel = "_anchor"

// An entry is one of the stream.
type entry struct {
	id                  pubsub.ID
	channel, name, data string
	hasData             bool
	size                int64 // that it counts
	total               int64 // of the sizes of all entries up to it; -1 if it was not published by a replica
}

func parse(m redis.XMessage) entry {
	e := entry{total: -1}
	e.id, _ = pubsub.ParseID(m.ID) // Redis writes ids in this form
	bytes := 0
	for name, value := range m.Values {
		if text, _ := value.(string); name != totalField {
			bytes += len(text)
		}
	}
	e.size = int64(52 + bytes + bytes/4 + min(bytes/6, 340)) // as in shared.lua
	e.channel, _ = m.Values[channelField].(string)
	e.name, _ = m.Values[nameField].(string)
	e.data, e.hasData = m.Values[dataField].(string)
	total, _ := m.Values[totalField].(string)
	total, id, _ := strings.Cut(total, "@")
	if n, err := strconv.ParseUint(total, 10, 63); err == nil && id == m.ID {
		e.total = int64(n)
	}
	return e
}

// check returns why an entry is not an event. Publish has checked what replicas write.
func (s *stream) check(e entry) error {
	switch {
	case e.channel == "":
		return fmt.Errorf("it has no channel in the field %q", channelField)
	case !e.hasData:
		return fmt.Errorf("it has no data in the field %q", dataField)
	case e.total >= 0 || s.options.Check == nil:
		return nil
	default:
		return s.options.Check(e.channel, e.name, []byte(e.data))
	}
}

//go:embed shared.lua
var sharedLua string

//go:embed append.lua
var appendLua string

//go:embed check.lua
var checkLua string

// Both scripts return the id of an entry: the appended one, or the newest.
var (
	appendScript = newScript(sharedLua + appendLua)
	checkScript  = newScript(sharedLua + checkLua)
)

type script struct{ source, hash string }

func newScript(source string) script { return script{source, redis.NewScript(source).Hash()} }

// run runs a script, which Redis may not know yet.
func (s *stream) run(ctx context.Context, client redis.UniversalClient, script script, args ...any) (pubsub.ID, error) {
	last := s.arrivals.position()
	args = append([]any{1, s.options.Key, s.options.MaxEvents, s.options.MaxBytes, last[0], last[1]}, args...)
	do := func(command ...any) (string, error) {
		cmd := once{redis.NewCmd(ctx, append(command, args...)...)}
		_ = client.Process(ctx, cmd) // cmd has the error
		return cmd.Text()
	}
	text, err := do("evalsha", script.hash)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		text, err = do("eval", script.source)
	}
	id, _ := pubsub.ParseID(text)
	return id, err
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
