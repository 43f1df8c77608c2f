package pubsub

import (
	"fmt"

	"github.com/gomodule/redigo/redis"
)

// An entry is one of the Redis Stream.
type entry struct {
	id     ID
	fields [][]byte // names and values in turn
}

// field returns the value of a field, or nil where there is none.
func (e entry) field(name string) []byte {
	for i := 0; i+1 < len(e.fields); i += 2 {
		if string(e.fields[i]) == name {
			return e.fields[i+1]
		}
	}
	return nil
}

// parseEntries reads the answer to XRANGE: pairs of an id and a list of fields.
func parseEntries(answer any, err error) ([]entry, error) {
	items, err := redis.Values(answer, err)
	if err != nil {
		return nil, err
	}
	entries := make([]entry, len(items))
	for i, item := range items {
		id, fields, err := parsePair(item)
		if err != nil {
			return nil, fmt.Errorf("an entry: %w", err)
		}
		text, err := redis.String(id, nil)
		if err != nil {
			return nil, fmt.Errorf("the id of an entry: %w", err)
		}
		var ok bool
		if entries[i].id, ok = ParseID(text); !ok {
			return nil, fmt.Errorf("an entry has the id %q", text)
		}
		if entries[i].fields, err = redis.ByteSlices(fields, nil); err != nil {
			return nil, fmt.Errorf("the fields of entry %s: %w", text, err)
		}
	}
	return entries, nil
}

// parseStream reads the answer to XREAD: a list with the pair of the key and its
// entries, or nil.
func parseStream(answer any) ([]entry, error) {
	if answer == nil {
		return nil, nil
	}
	streams, err := redis.Values(answer, nil)
	if err != nil {
		return nil, err
	}
	if len(streams) != 1 {
		return nil, fmt.Errorf("%d streams, where one was asked for", len(streams))
	}
	_, entries, err := parsePair(streams[0])
	return parseEntries(entries, err)
}

func parsePair(answer any) (first, second any, err error) {
	pair, err := redis.Values(answer, nil)
	if err == nil && len(pair) != 2 {
		err = fmt.Errorf("%d values, where two belong", len(pair))
	}
	if err != nil {
		return nil, nil, err
	}
	return pair[0], pair[1], nil
}
