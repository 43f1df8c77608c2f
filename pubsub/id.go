package pubsub

import (
	"cmp"
	"math"
	"strconv"
	"strings"
	"time"
)

// An ID is a position in the one order over all events of a broker: two numbers,
// written "1763683200000-0". The first is the Unix time in ms, the second a
// sequence number within it, as in the ids of a Redis Stream.
type ID [2]uint64

// ParseID reads an ID as String writes it; ok is false for anything else.
func ParseID(s string) (id ID, ok bool) {
	left, right, _ := strings.Cut(s, "-")
	var errLeft, errRight error
	id[0], errLeft = strconv.ParseUint(left, 10, 64)
	id[1], errRight = strconv.ParseUint(right, 10, 64)
	if errLeft != nil || errRight != nil || id.String() != s { // "+1-01" was never given out
		return ID{}, false
	}
	return id, true
}

// String returns the decimal form of both numbers with a dash between.
func (id ID) String() string {
	text := make([]byte, 0, 2*20+1) // two numbers and a dash
	text = strconv.AppendUint(text, id[0], 10)
	text = append(text, '-')
	text = strconv.AppendUint(text, id[1], 10)
	return string(text)
}

// Compare is negative, zero or positive if id is before, at or after other.
func (id ID) Compare(other ID) int {
	return cmp.Or(cmp.Compare(id[0], other[0]), cmp.Compare(id[1], other[1]))
}

// Next returns an id for an event that happens now, above id: the present time, or
// the next sequence number if the clock is not beyond id's time.
func (id ID) Next() ID {
	if now := uint64(time.Now().UnixMilli()); now > id[0] {
		return ID{now, 0}
	}
	return ID{id[0], id[1] + 1}
}

// previous is the greatest ID below id; 0-0 is its own.
func (id ID) previous() ID {
	switch {
	case id[1] > 0:
		return ID{id[0], id[1] - 1}
	case id[0] > 0:
		return ID{id[0] - 1, math.MaxUint64}
	default:
		return id
	}
}

// later returns the greater of two ids.
func later(a, b ID) ID {
	if a.Compare(b) > 0 {
		return a
	}
	return b
}
