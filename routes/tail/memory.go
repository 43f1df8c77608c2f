package tail

import "slices"

// lineCost is counted for a line in memory on top of its frame.
const lineCost = 96

// memory holds the newest lines of a follower, for the feeds that are near the end.
type memory struct {
	lines []line // the oldest first, after the place where they begin, which has no frame
	bytes int
}

func (m *memory) append(lines []line) {
	for _, l := range lines {
		m.lines = append(m.lines, l)
		m.bytes += lineCost + len(l.frame)
	}
	for len(m.lines)-1 > keptLines || m.bytes > keptBytes && len(m.lines) > 2 {
		m.lines[0] = line{} // the array lives on
		m.lines = m.lines[1:]
		m.bytes -= lineCost + len(m.lines[0].frame)
		m.lines[0].frame = nil
	}
}

// start is the place after which memory has the lines.
func (m *memory) start() lineID { return m.lines[0].id }

// end is the place after the newest line.
func (m *memory) end() lineID { return m.lines[len(m.lines)-1].id }

// after returns a batch of the lines that follow at; ok is false if memory has
// dropped some of them.
func (m *memory) after(at lineID) (lines []line, ok bool) {
	if at.before(m.start()) {
		return nil, false
	}
	i, isLine := slices.BinarySearchFunc(m.lines, at, func(l line, at lineID) int { return l.id.compare(at) })
	if isLine {
		i++
	}
	size, end := 0, i
	for end < len(m.lines) && end-i < batchEvents && size < batchBytes {
		size += len(m.lines[end].frame)
		end++
	}
	return slices.Clone(m.lines[i:end]), true
}

// find returns the end of a line with the epoch, if that is not 0, and the offset and
// checksum of an id.
func (m *memory) find(id lineID) (found lineID, ok bool) {
	for _, l := range slices.Backward(m.lines) {
		if l.id.offset == id.offset && l.id.sum == id.sum && (id.epoch == 0 || l.id.epoch == id.epoch) {
			return l.id, true
		}
	}
	return lineID{}, false
}
