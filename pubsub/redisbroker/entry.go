package redisbroker

import (
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/sse-demo/pubsub"
)

// Fields of an entry of the stream.
const (
	totalField   = "t" // running total of the sizes of all entries up to this one
	channelField = "c"
	nameField    = "n"
	dataField    = "d"
)

const (
	// anchorChannel is the channel of entries that hold no event. Publish refuses it. If
	// the data is an id, events up to it were lost.
	anchorChannel = "_anchor"
	// skipLogInterval is the time between two log lines about entries that are skipped.
	skipLogInterval = time.Minute
)

// An entry is one of the stream.
type entry struct {
	id                  pubsub.ID
	channel, name, data string
	hasData             bool
	size                int64 // that it counts
	total               int64 // of the sizes of all entries up to it; -1 if it was not published by a replica
}

func parse(m redis.XMessage) (entry, error) {
	e := entry{total: -1}
	var ok bool
	if e.id, ok = pubsub.ParseID(m.ID); !ok {
		return e, fmt.Errorf("an entry of the stream has the id %q", m.ID)
	}
	bytes := 0
	for name, value := range m.Values {
		text, _ := value.(string)
		switch name {
		case totalField:
			if total, err := strconv.ParseUint(text, 10, 63); err == nil {
				e.total = int64(total)
			}
			continue
		case channelField:
			e.channel = text
		case nameField:
			e.name = text
		case dataField:
			e.data, e.hasData = text, true
		}
		bytes += len(text)
	}
	e.size = size(bytes)
	return e, nil
}

// size is what an entry with so many bytes in its fields counts; trim.lua has the same
// formula.
func size(bytes int) int64 { return int64(32 + bytes + bytes/4 + min(bytes/6, 340)) }

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

// skip notes an entry that is not an event.
func (s *stream) skip(e entry, reason error) {
	s.skipped++
	if time.Since(s.lastSkip) >= skipLogInterval {
		s.lastSkip = time.Now()
		s.options.Logger.Warn("an entry of the Redis stream is not an event; it is skipped",
			"key", s.options.Key, "id", e.id, "error", reason, "skipped", s.skipped)
	}
}
