package tail

import (
	"bytes"
	"slices"
	"strings"

	"example.com/sse-demo/sse"
)

// lineCost is counted for a line in memory on top of its frame.
const lineCost = 96

// memory holds the newest lines of a follower, for the feeds that are near the end.
type memory struct {
	lines []line // the oldest first
	bytes int
	start position // of what it holds: the end of the newest line that was dropped
}

// A position is a place with its id.
type position struct {
	place
	id string
}

func (m *memory) append(l line) {
	m.lines = append(m.lines, l)
	m.bytes += lineCost + len(l.frame)
	for len(m.lines) > keptLines || m.bytes > keptBytes && len(m.lines) > 1 {
		m.drop()
	}
}

func (m *memory) drop() {
	oldest := m.lines[0]
	m.start = positionOf(oldest)
	m.bytes -= lineCost + len(oldest.frame)
	m.lines[0] = line{} // the array lives on
	m.lines = m.lines[1:]
}

// after appends to dst a batch of the lines that follow p; ok is false if some of
// them have been dropped.
func (m *memory) after(dst []line, p place) (_ []line, ok bool) {
	if p.before(m.start.place) {
		return dst, false
	}
	i, isLine := slices.BinarySearchFunc(m.lines, p, func(l line, p place) int { return l.end.compare(p) })
	if isLine {
		i++
	}
	size := 0
	for ; i < len(m.lines) && len(dst) < batchEvents && size < batchBytes; i++ {
		dst = append(dst, m.lines[i])
		size += len(m.lines[i].frame)
	}
	return dst, true
}

// find returns the place of a line that ends at offset and whose id ends like this.
func (m *memory) find(offset int64, id string) (p place, ok bool) {
	for _, l := range slices.Backward(m.lines) {
		if l.end.offset == offset && bytes.HasSuffix(sse.FrameID(l.frame), []byte(id)) {
			return l.end, true
		}
	}
	return m.start.place, offset > 0 && strings.HasSuffix(m.start.id, id)
}

// end returns the position after the newest line.
func (m *memory) end() position {
	if n := len(m.lines); n > 0 {
		return positionOf(m.lines[n-1])
	}
	return m.start
}

// oldest returns the id of the oldest line, or "" if there is none.
func (m *memory) oldest() string {
	if len(m.lines) == 0 {
		return ""
	}
	return positionOf(m.lines[0]).id
}

func positionOf(l line) position { return position{l.end, string(sse.FrameID(l.frame))} }
